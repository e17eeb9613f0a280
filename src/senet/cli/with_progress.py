"""Runs with their progress on the terminal: all of a study, or one."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from senet.experiments.failed_run import Failed
    from senet.experiments.result import Result
    from senet.experiments.run import Run
    from senet.experiments.setup import Setup
    from senet.experiments.study import Study

__all__ = ["train_all", "train_one"]


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
    """Train what a study lacks, together with all other commands on the same folder of runs.

    Args:
        study: what is wanted.
        known: results that there are already.
        runs: folder of the runs.
        setup: device, processes, paths.
        quiet: no progress.
        lists: results that were committed, read beside those of `runs`.
        retry_failed: train again what failed before.

    Returns:
        The results there are, and the runs that failed by themselves.

    Raises:
        SenetError: as `execute` does.
    """
    from senet.cli.announce import announce, warn_of_guesses
    from senet.execution.execute import execute
    from senet.execution.store import Store
    from senet.execution.workers import loaded
    from senet.experiments.failed_run import Failed
    from senet.experiments.result import Result
    from senet.reports.console import Board

    wanted, store = [run for run in study.runs() if run not in known], Store(runs, lists=lists)
    results = dict(known)
    failed: list[Failed] = []
    before = {run: store.ended(run, None) for run in wanted} if not quiet else {}
    if left := [run for run, found in before.items() if found is None]:
        there = [found for found in (*known.values(), *before.values()) if isinstance(found, Result)]
        announce(left, setup, loaded, there=there)
    with Board(len(wanted), quiet=quiet) as board:
        for ended in execute(wanted, store, setup, watch=board.watch, say=board.note, retry_failed=retry_failed):
            board.end(ended)
            if isinstance(ended, Result):
                results[ended.run] = ended
            elif isinstance(ended, Failed):
                failed.append(ended)
    warn_of_guesses(results.values())
    return results, failed


def train_one(planned: "Run", folder: Path, setup: "Setup", *, save_every: float, quiet: bool) -> "Result":
    """Train one run in a folder, or go on with it, after a process that does so; a failed one is tried again.

    Args:
        planned: the run.
        folder: its checkpoints, curve and result.
        setup: device, processes, paths.
        save_every: seconds between two checkpoints.
        quiet: no progress.
    """
    from senet.cli.announce import announce, warn_of_guesses
    from senet.execution.workers import Job, loaded
    from senet.reports.console import Board
    from senet.signals import stoppable
    from senet.training.run_folder import read_result

    setup = replace(setup, save_every=save_every)
    leads = os.environ.get("RANK", "0") == "0"
    loaded(planned.data, setup)  # where Ctrl-C still ends at once
    if leads and not quiet and read_result(folder) is None:
        announce([planned], setup, loaded)
    with Board(1, quiet=quiet) as board, stoppable(announce=leads):
        result = Job(setup, retry_failed=True, say=board.note)(planned, folder, board.watch)
        board.end(result)
    if leads:
        warn_of_guesses([result])
    return result
