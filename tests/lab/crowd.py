"""Several real workers on one storage: what each of them does, and what can be checked of it afterwards."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from forks import CONTEXT, DATA, RECIPE, RUN, Child, digest, holder, start, train_digits, wait_until

from senet.data.dataset import Data
from senet.lab import execute as executing
from senet.lab.execute import Setup
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.store import Store

with suppress(ImportError):  # the server of the processes imports it once for all
    import senet.lab.shift  # noqa: F401
CONTEXT.set_forkserver_preload(["forks", "crowd"])


def variants(number: int, **recipe: Any) -> list[Run]:
    """Give small runs that differ by their seeds."""
    recipe = {"epochs": 1, "batch_size": 20, **recipe}
    return [replace(RUN, seed=seed, recipe=replace(RECIPE, **recipe)) for seed in range(number)]


def _watched(run: Run, data: Data, folder: Path, *, logs: Path, seconds: float, **kw: Any) -> Result:
    log = logs / f"{run.id}.{os.getpid()}"
    return train_digits(run, folder, data=data, log=log, seconds=seconds, **kw)


def labour(
    runs: Sequence[Run],
    place: Path,
    url: str,
    *,
    seconds: float = 0.0,
    heartbeat: int = 1,
    grace: int = 3,
    setup: Setup | None = None,
    wait_for: Path | None = None,
) -> None:
    """Work until all runs are done; every batch is logged in `place`."""
    from senet.lab.shift import work
    from senet.lab.trials import Trials

    executing.train = partial(_watched, logs=place / "logs", seconds=seconds)
    if wait_for is not None:
        while not wait_for.exists():
            time.sleep(0.001)
    runs_folder = place / "runs"
    setup = setup or Setup(threads=1, save_every=0.0)
    with Trials.open(url, "crowd", runs=runs_folder, heartbeat=heartbeat, grace=grace) as trials:
        for _ in work(runs, Store(runs_folder), trials, setup, say=partial(print, flush=True)):
            pass


def enqueue(runs: Sequence[Run], url: str, wait_for: Path) -> None:
    """Open a storage that may not be there yet and add runs, at the same moment as others."""
    from senet.lab.trials import Trials

    while not wait_for.exists():
        time.sleep(0.001)
    with Trials.open(url, "crowd", runs=wait_for.parent) as trials:
        trials.add(runs)


@dataclass
class Crowd:
    """Workers on one storage.

    Attributes:
        place: holds the folder of runs, logs of batches, and what the workers printed.
        url: of the storage.
        runs: what they train.
    """

    place: Path
    url: str
    runs: list[Run]

    def __post_init__(self) -> None:
        (self.place / "logs").mkdir(parents=True)
        self.children: list[Child] = []

    def join(self, number: int = 1, *, target: Callable[..., Any] = labour, **kw: Any) -> list[Child]:
        """Let workers begin at the same moment."""
        gate = self.place / f"gate{len(self.children)}"
        new = [
            start(
                self.place / f"said{len(self.children) + n}",
                target,
                self.runs,
                self.place,
                self.url,
                wait_for=gate,
                **kw,
            )
            for n in range(number)
        ]
        self.children += new
        gate.touch()
        return new

    @property
    def steps(self) -> int:
        """Batches drawn by all workers so far."""
        return sum(path.read_text().count("\n") for path in (self.place / "logs").iterdir())

    def trainer(self) -> Child:
        """Wait until a worker trains, and give it."""

        def found() -> list[Child]:
            pids = {holder(self.place / "runs" / run.id) for run in self.runs}
            return [child for child in self.children if child.runs and child.pid in pids]

        wait_until(found)
        return next(iter(found()), self.children[0])

    def kill(self, number: int, chance: random.Random) -> int:
        """Kill some workers, each after some more batches of all and a moment; give how many had not ended."""
        kills = 0
        for victim in chance.sample(self.children, number):
            enough = self.steps + chance.randint(0, 20)
            while self.steps < enough and victim.runs:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.3))
            victim.kill()
            kills += victim.process.exitcode == -signal.SIGKILL
        return kills

    def kill_and_replace(self, number: int, chance: random.Random, *, most: int, **kw: Any) -> tuple[int, int]:
        """Kill one worker after the other, wherever it is, and let a new one begin for each.

        Args:
            number: of workers to kill while they train; others are killed beside.
            chance: chooses worker and moment.
            most: times that the workers of one run are killed.
            kw: of the new workers.

        Returns:
            How many were killed, and how many of them held a run.
        """
        kills = at_work = 0
        while at_work < number and (living := [child for child in self.children if child.runs]):
            victim = chance.choice(living)
            enough = self.steps + chance.randint(0, 10)
            while self.steps < enough and victim.runs:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.2))
            held = [run for run in self.runs if holder(self.place / "runs" / run.id) == victim.pid]
            if any(len(self.lives(run)) > most for run in held):
                continue
            victim.kill()
            if victim.process.exitcode == -signal.SIGKILL:
                kills += 1
                at_work += bool(held)
                self.join(**kw)
        return kills, at_work

    def end(self) -> None:
        """Wait for all workers that were not killed."""
        for child in self.children:
            assert child.join(120) in (0, -signal.SIGKILL), child.said

    def shares(self) -> Mapping[str, int]:
        """Count the runs that each process trained."""
        return Counter(log.suffix for log in (self.place / "logs").iterdir())

    def lives(self, run: Run) -> list[list[float]]:
        """Give the times of the batches of a run, for each process that trained it, in their order."""
        logs = (self.place / "logs").glob(f"{run.id}.*")
        lives = [[json.loads(line)[0] for line in log.read_text().splitlines()] for log in logs]
        return sorted(filter(None, lives))

    def check(self, *, steps: int) -> None:
        """Check that every run was trained to the end once, by one process at a time, with the bits it should have."""
        from senet.lab.trials import Trials

        with Trials.open(self.url, "crowd", runs=self.place / "runs") as trials:
            ids = {run.id for run in self.runs}
            found = [trial for trial in trials._study.get_trials() if trial.user_attrs["run"] in ids]
            assert [trial.number for trial in trials._study.trials] == list(range(len(trials._study.trials)))
            assert trials.overview(self.runs).complete == self.runs
        complete = [t.user_attrs["run"] for t in found if t.state.name == "COMPLETE"]
        assert sorted(complete) == sorted(run.id for run in self.runs), "exactly one complete trial each"
        assert {t.state.name for t in found} <= {"COMPLETE", "FAIL"}
        for run in self.runs:
            lives = self.lives(run)
            for life, following in pairwise(lives):
                assert life[-1] < following[0], "two processes trained it at the same time"
            # every step is saved, so a kill costs no more than the one in progress
            assert steps <= sum(map(len, lives)) <= steps + len(lives) - 1
            undisturbed = self.place / "undisturbed" / run.id
            train_digits(run, undisturbed, data=DATA)
            assert digest(self.place / "runs" / run.id) == digest(undisturbed)
