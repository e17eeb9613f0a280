"""Train the runs of a study, or one run, with what starts, the progress and warnings on the terminal."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from senet.cli.failure import show_warning
from senet.text import duration, one_line

if TYPE_CHECKING:
    from senet.data.dataset import Data
    from senet.experiments.data_spec import DataSpec
    from senet.experiments.failed_run import Failed
    from senet.experiments.result import Result
    from senet.experiments.run import Run
    from senet.experiments.setup import Setup
    from senet.experiments.study import Study

__all__ = ["announce", "train_all", "train_one"]


def train_all(
    study: "Study",
    known: "Mapping[Run, Result]",
    *,
    runs: Path,
    setup: "Setup",
    quiet: bool,
    lists: tuple[Path, ...] = (),
    retry_failed: bool = False,
) -> "tuple[dict[Run, Result], list[Failed]]":
    """Train the missing runs of a study; commands on the same folder of runs share the work.

    Raises:
        SenetError: see `senet.execution.execute.execute`.
    """
    from senet.execution.execute import execute
    from senet.execution.executors import load_cached
    from senet.execution.store import Store
    from senet.experiments.failed_run import Failed
    from senet.experiments.result import Result
    from senet.files.atomic import ensure_writable
    from senet.reports.console import RunProgress

    ensure_writable(runs)
    wanted, store = [run for run in study.runs() if run not in known], Store(runs, lists=lists)
    results = dict(known)
    failed: list[Failed] = []
    before = {run: store.ended(run, None) for run in wanted} if not quiet else {}
    if left := [run for run, found in before.items() if found is None]:
        there = [found for found in (*known.values(), *before.values()) if isinstance(found, Result)]
        announce(left, setup, load_cached, finished=there)
    rows = [(row, study.run(row, seed)) for row in study.rows for seed in study.seeds]
    labels = {run.id: row.label for row, run in rows if row.label != run.design}
    with RunProgress(len(wanted), labels=labels, quiet=quiet) as progress:
        for ended in execute(wanted, store, setup, watch=progress.watch, say=progress.note, retry_failed=retry_failed):
            progress.end(ended)
            if isinstance(ended, Result):
                results[ended.run] = ended
            elif isinstance(ended, Failed):
                failed.append(ended)
    _warn_of_guesses(results.values())
    return results, failed


def train_one(planned: "Run", folder: Path, setup: "Setup", *, quiet: bool) -> "Result":
    """Train one run in a folder, or resume it; a run that failed before is trained again."""
    from senet.execution.executors import RunTrainer, load_cached
    from senet.files.atomic import ensure_writable
    from senet.reports.console import RunProgress
    from senet.signals import stoppable
    from senet.training.run_folder import read_result

    leads = os.environ.get("RANK", "0") == "0"
    ensure_writable(folder.parent)
    load_cached(planned.data, setup)  # where Ctrl-C still ends at once
    if leads and not quiet and read_result(folder) is None:
        announce([planned], setup, load_cached)
    with RunProgress(1, quiet=quiet) as progress, stoppable(announce=leads):
        result = RunTrainer(setup, retry_failed=True, say=progress.note)(planned, folder, progress.watch)
        progress.end(result)
    if leads:
        _warn_of_guesses([result])
    return result


def announce(
    runs: "Sequence[Run]",
    setup: "Setup",
    load: "Callable[[DataSpec, Setup], Data]",
    *,
    at_most: int = 0,
    finished: "Sequence[Result]" = (),
) -> None:
    """Print what is about to be trained: images and remarks on them, network, recipe, machine, estimated time.

    Args:
        runs: the runs that are left to train.
        setup: device, processes, threads.
        load: function that loads a data set.
        at_most: largest number of runs like the one in `runs`, for a search, which chooses them later; 0 counts `runs`.
        finished: results of similar runs, for the estimate of the time.
    """
    import torch

    from senet.training.duration import expected_seconds

    for spec in dict.fromkeys(run.data for run in runs):
        data, of_it = load(spec, setup), [run for run in runs if run.data == spec]
        channels, height, width = data.shape
        said = (
            f"{spec.title}: {len(data.train):,} training and {len(data.test):,} test images of {height}x{width} pixels "
            f"in {channels} channel{'s' * (channels > 1)}, {data.num_classes} classes"
        )
        for line in (said, *(f"- {note}" for note in data.notes)):
            print(one_line(line), file=sys.stderr)
        for model, recipe in dict.fromkeys((run.model, run.recipe) for run in of_it):
            count = at_most or sum((run.model, run.recipe) == (model, recipe) for run in of_it)
            runs_in_words = f"{'up to ' * bool(at_most)}{count:,} run{'s' * (count > 1)}"
            print(one_line(f"{model}: {runs_in_words} of {recipe.in_words}"), file=sys.stderr)
    threads, jobs = setup.threads_each(), min(setup.jobs, at_most or len(runs))
    if not threads and not setup.cluster:
        threads = torch.get_num_threads()
    each = f", {threads} thread{'s' * (threads > 1)} each" if threads else ""
    print(one_line(f"{setup.device}: {jobs} at a time{each}"), file=sys.stderr)
    seconds = expected_seconds(runs, setup, load, there=finished)
    if seconds is not None:
        whole = seconds * (at_most / len(runs) if at_most else 1) / jobs
        print(one_line(f"estimated time: {'up to ' * bool(at_most)}{duration(whole)}"), file=sys.stderr)


def _warn_of_guesses(results: "Iterable[Result]") -> None:
    """Warn about networks that are not better than guessing."""
    from senet.experiments.chance import most_by_chance, only_guesses

    found = [result for result in results if only_guesses(result)]
    if found:
        first = found[0]
        show_warning(
            f"{len(found)} trained network{'s are' if len(found) > 1 else ' is'} not better than guessing "
            f"({first.run.design}, seed {first.run.seed}: {first.last.correct:,} of {first.total:,} correct, and "
            f"guessing reaches up to {most_by_chance(first):,.0f}); train longer, or check optim.lr and the labels."
        )
