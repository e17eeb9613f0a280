"""Runs with their progress on the terminal: all of a study, or one."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from senet.lab.execute import Setup
    from senet.lab.result import Result
    from senet.lab.run import Run
    from senet.lab.study import Study

__all__ = ["train_all", "train_one"]


def train_all(
    study: "Study", runs: Path, setup: "Setup", *, quiet: bool, lists: tuple[Path, ...] = ()
) -> "dict[Run, Result]":
    """Train what a study lacks.

    Args:
        study: what is wanted.
        runs: folder of the runs.
        setup: device, processes, paths.
        quiet: no progress.
        lists: results that were committed, read beside those of `runs`.
    """
    from senet.console import Board
    from senet.lab.execute import execute
    from senet.lab.store import Store

    wanted = study.runs()
    results: dict[Run, Result] = {}
    with Board(len(wanted), quiet=quiet) as board:
        for result in execute(wanted, Store(runs, lists=lists), setup, watch=board.watch):
            results[result.run] = result
            board.finish(result)
    return results


def train_one(planned: "Run", folder: Path, setup: "Setup", *, save_every: float, quiet: bool) -> "Result":
    """Train one run in a folder, or go on with it.

    Args:
        planned: the run.
        folder: its checkpoints, curve and result.
        setup: device, processes, paths.
        save_every: seconds between two checkpoints.
        quiet: no progress.
    """
    from senet.console import Board
    from senet.data.loading import load
    from senet.lab.execute import train_as

    data = load(planned.data, root=setup.data_dir, on_bad_image=setup.on_bad_image, download=setup.download)
    with Board(1, quiet=quiet) as board:
        result = train_as(replace(setup, save_every=save_every), planned, data, folder, watch=board.watch)
        board.finish(result)
    return result
