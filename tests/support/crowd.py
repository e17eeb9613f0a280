"""Several commands on one folder of runs, as real processes: what each does, and what can be checked afterwards."""

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from forks import CONTEXT, DATA, RECIPE, RUN, Child, digest, holder, start, train_digits, wait_until

from senet.data.dataset import Data
from senet.execution import executors, processes
from senet.execution.execute import execute
from senet.execution.store import Store
from senet.experiments.failed_run import Failed
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup

CONTEXT.set_forkserver_preload(["forks", "crowd"])


def variants(number: int, **recipe: Any) -> list[Run]:
    """Return small runs that differ by their seeds."""
    recipe = {"epochs": 1, "batch_size": 20, **recipe}
    return [replace(RUN, seed=seed, recipe=replace(RECIPE, **recipe)) for seed in range(number)]


def _watched(
    run: Run, data: Data, folder: Path, setup: Setup, *, logs: Path, slow: dict[str, Any], **kw: Any
) -> Result:
    log = logs / f"{run.id}.{os.getpid()}"
    return train_digits(run, folder, data=data, log=log, setup=setup, **slow, **kw)


class _LoggingTrainer(executors.RunTrainer):
    """A trainer that logs every batch, in whatever process it is done."""

    def __init__(self, trainer: executors.RunTrainer, place: Path, slow: dict[str, Any]) -> None:
        super().__init__(trainer.setup, trainer.pruner, retry_failed=trainer.retry_failed)
        self.place, self.slow = place, slow

    def __call__(self, run: Run, folder: Path, watch: executors.Watch | None = None) -> Result:
        executors.train = partial(_watched, logs=self.place / "logs", slow=self.slow)
        executors.load_cached = lambda spec, setup: DATA
        return super().__call__(run, folder, watch)


def labour(
    runs: Sequence[Run],
    place: Path,
    *,
    jobs: int = 1,
    gate: Path | None = None,
    retry_failed: bool = False,
    slow: dict[str, Any] | None = None,
) -> None:
    """Do what a command does, and print how every run ended."""
    while gate is not None and not gate.exists():
        time.sleep(0.001)

    def open_executor(trainer: executors.RunTrainer, wanted: int) -> Any:
        watched = _LoggingTrainer(trainer, place, slow or {})
        return executors.LocalExecutor(watched) if jobs == 1 else processes.ProcessExecutor(watched, jobs)

    setup = Setup(threads=1, save_every=0.0, jobs=jobs)
    store, say = Store(place / "runs"), partial(print, flush=True)
    for ended in execute(runs, store, setup, say=say, retry_failed=retry_failed, executor=open_executor):
        kind = "failed" if isinstance(ended, Failed) else "done"
        print(f"{kind} {ended.run.id}", flush=True)


@dataclass
class Crowd:
    """Commands on one folder of runs.

    Attributes:
        place: holds the folder of runs, logs of batches, and what the commands printed.
        runs: what they want.
        commands: all that were started.
    """

    place: Path
    runs: list[Run]
    commands: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.place / "logs").mkdir(parents=True)
        self.store = Store(self.place / "runs")

    def begin(self, number: int = 1, **kw: Any) -> list[Child]:
        """Let commands begin at the same moment."""
        gate = self.place / f"gate{len(self.commands)}"
        new = [
            start(self.place / f"said{len(self.commands) + n}", labour, self.runs, self.place, gate=gate, **kw)
            for n in range(number)
        ]
        self.commands += new
        gate.touch()
        return new

    @property
    def steps(self) -> int:
        """Batches drawn by all processes so far."""
        return sum(path.read_text().count("\n") for path in (self.place / "logs").iterdir())

    def trainers(self) -> list[int]:
        """Return the processes that hold a run now."""
        return [pid for run in self.runs if (pid := holder(self.store.folder(run)))]

    def kill(self, chance: random.Random, *, at_work: bool = False) -> bool:
        """Kill a command after some more batches of all and a moment; say whether it had not ended."""
        enough = self.steps + chance.randint(1, 10)
        wait_until(lambda: self.steps >= enough or not any(child.runs for child in self.commands))
        time.sleep(chance.uniform(0, 0.2))
        living = [child for child in self.commands if child.runs and (not at_work or child.pid in self.trainers())]
        if not living:
            return False
        victim = chance.choice(living)
        victim.kill()
        return victim.process.exitcode == -signal.SIGKILL

    def end(self) -> None:
        """Wait for all commands that were not killed; each must have been told of every run once."""
        for child in self.commands:
            code = child.join(120)
            assert code in (0, -signal.SIGKILL), child.said
            if code == 0:
                told = [line.split()[1] for line in child.said.splitlines() if line.startswith(("done", "failed"))]
                assert sorted(told) == sorted(run.id for run in self.runs), child.said
        assert not self.trainers()

    def lives(self, run: Run) -> list[list[float]]:
        """Return the times of the batches of a run, for each process that trained it, in their order."""
        logs = (self.place / "logs").glob(f"{run.id}.*")
        lives = [[json.loads(line)[0] for line in log.read_text().splitlines()] for log in logs]
        return sorted(filter(None, lives))

    def check(self, *, steps: int, but: Sequence[Run] = ()) -> None:
        """Check that every run was trained to its end once, by one process at a time, with the bits it has alone."""
        for run in self.runs:
            if run in but:
                continue
            lives = self.lives(run)
            for life, following in pairwise(lives):
                assert life[-1] < following[0], "two processes trained it at the same time"
            # every step is saved, so a kill costs no more than the one in progress
            assert steps <= sum(map(len, lives)) <= steps + len(lives) - 1
            alone = self.place / "alone" / run.id
            train_digits(run, alone)
            assert digest(alone) == digest(self.store.folder(run))
