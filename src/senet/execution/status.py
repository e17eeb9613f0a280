"""The status of runs, read from their folders while other processes may train them."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from senet.errors import CheckpointError, SenetError
from senet.execution.store import Store
from senet.experiments.early_stopping import curve_of, read_pruned
from senet.experiments.failed_run import Failed
from senet.experiments.result import Epoch, Result
from senet.experiments.run import Run
from senet.files.lock import holder
from senet.training.run_folder import read_run

__all__ = ["STATES", "Status", "runs_in", "status"]

STATES = ("done", "running", "waiting", "failed", "stopped early")


@dataclass(frozen=True, kw_only=True)
class Status:
    """The status of one run.

    Attributes:
        run: the run.
        state: one of `STATES`.
        epoch: number of finished epochs.
        accuracy: top-1 [%] of a run that is done or was stopped early; None otherwise.
        where: process and machine that train it, or on which it failed; empty otherwise.
        left: estimated remaining time [s] of a running run that has finished an epoch; None otherwise.
        why: reason of a failure or of an early stop; empty otherwise.
    """

    run: Run
    state: str
    epoch: int = 0
    accuracy: float | None = None
    where: str = ""
    left: float | None = None
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them, the run by its id, network, data, recipe, design and seed."""
        run = self.run
        shared = {"model": run.model, "data": run.data.title, "recipe": run.recipe.in_words}
        named = {"run": run.id, **shared, "design": run.design, "seed": run.seed}
        return {**named, **asdict(self), "run": run.id, "epochs": run.recipe.epochs}


def status(runs: Sequence[Run], store: Store) -> list[Status]:
    """Return the present status of runs, in their order.

    A run with a result is done, and a locked one is running, whatever other records their folders hold.
    """
    return [_status(run, store) for run in dict.fromkeys(runs)]


def runs_in(root: Path) -> list[Run]:
    """Return the runs that have a folder of their own in a folder of runs, in the order of their ids."""
    found: list[Run] = []
    for path in sorted(root.glob("*/run.json")):
        with suppress(CheckpointError):
            run = read_run(path)
            found += [run] if run.id == path.parent.name else []
    return found


def _status(run: Run, store: Store) -> Status:
    folder = store.folder(run)
    name = holder(folder)  # read first: the result is written before the lock is released
    try:
        ended, pruned = store.ended(run), read_pruned(folder)
    except SenetError as error:
        return Status(run=run, state="failed", why=str(error))
    if isinstance(ended, Result):
        return Status(run=run, state="done", epoch=len(ended.curve), accuracy=ended.accuracy)
    curve = curve_of(folder)
    if name:
        return Status(run=run, state="running", epoch=len(curve), where=name, left=_left(run, curve, folder))
    if isinstance(ended, Failed):
        return Status(run=run, state="failed", epoch=len(curve), where=ended.where, why=ended.reason)
    if pruned is not None:
        return Status(
            run=run, state="stopped early", epoch=pruned.epoch, accuracy=pruned.accuracy, why=f"stopped early, {pruned}"
        )
    return Status(run=run, state="waiting", epoch=len(curve))


def _left(run: Run, curve: Sequence[Epoch], folder: Path) -> float | None:
    """Estimate the remaining time of a training [s] from its mean epoch and the time since the last one."""
    if not curve:
        return None
    each = fmean(epoch.seconds for epoch in curve)
    spent = 0.0
    with suppress(OSError):  # the clock of another machine may be ahead
        spent = min(each, max(0.0, time.time() - (folder / "metrics.jsonl").stat().st_mtime))
    return each * (run.recipe.epochs - len(curve)) - spent
