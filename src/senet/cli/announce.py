"""What is about to be trained, and what came out that no table shows: a line each, on the terminal."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from senet.cli.failure import show_warning
from senet.text import duration, one_line

if TYPE_CHECKING:
    from senet.data.dataset import Data
    from senet.experiments.data_spec import DataSpec
    from senet.experiments.result import Result
    from senet.experiments.run import Run
    from senet.experiments.setup import Setup

__all__ = ["announce", "warn_of_guesses"]


def announce(
    runs: "Sequence[Run]",
    setup: "Setup",
    load: "Callable[[DataSpec, Setup], Data]",
    *,
    at_most: int = 0,
    there: "Sequence[Result]" = (),
) -> None:
    """Print, before the first step, what the runs are: images, network, recipe, machine, and about how long they take.

    Args:
        runs: those that are left to train.
        setup: device, processes, threads.
        load: reads a data set, or has it.
        at_most: runs that there may be, of a search that knows only later which: they are like the one of `runs`.
        there: results of such runs, whose time says how long the others take.
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
        print(one_line(said), file=sys.stderr)
        for model, recipe in dict.fromkeys((run.model, run.recipe) for run in of_it):
            count = at_most or sum((run.model, run.recipe) == (model, recipe) for run in of_it)
            runs_in_words = f"{'up to ' * bool(at_most)}{count:,} run{'s' * (count > 1)}"
            print(one_line(f"{model}: {runs_in_words} of {recipe.in_words}"), file=sys.stderr)
    threads, jobs = setup.threads_each(), min(setup.jobs, at_most or len(runs))
    if not threads and not setup.cluster:
        threads = torch.get_num_threads()
    each = f", {threads} thread{'s' * (threads > 1)} each" if threads else ""
    print(one_line(f"{setup.device}: {jobs} at a time{each}"), file=sys.stderr)
    seconds = expected_seconds(runs, setup, load, there=there)
    if seconds is not None:
        whole = seconds * (at_most / len(runs) if at_most else 1) / jobs
        print(f"estimated time: {'up to ' * bool(at_most)}{duration(whole)}", file=sys.stderr)


def warn_of_guesses(results: "Iterable[Result]") -> None:
    """Warn of networks that have learned nothing."""
    from senet.experiments.chance import most_by_chance, only_guesses

    found = [result for result in results if only_guesses(result)]
    if found:
        first = found[0]
        show_warning(
            f"{len(found)} trained network{'s are' if len(found) > 1 else ' is'} not better than guessing "
            f"({first.run.design}, seed {first.run.seed}: {first.last.correct:,} of {first.total:,} right, and up to "
            f"{most_by_chance(first):,.0f} come by chance); train longer, or look at optim.lr and the labels."
        )
