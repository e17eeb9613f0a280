"""Carry runs out: read what is there, train what is missing, wait for what another process trains.

Several commands on one folder of runs share the work: the lock of a run's folder says who trains it. A run that
another process has claimed is left to it and read when it is done; when that process ends without a result, the run
is taken over from its last checkpoint.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from senet.errors import CheckpointError, Interrupted, StoppedEarly, UsageError, not_installed
from senet.execution.processes import Processes
from senet.execution.store import Store
from senet.execution.workers import Here, Job, Open, Outcome, Watch, Workers, loaded
from senet.experiments.data_spec import DataSpec
from senet.experiments.early_stopping import Judge, Pruned, read_pruned
from senet.experiments.failed_run import Failed, is_of_the_run, read_failed
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.files.lock import InUse, holder
from senet.signals import Stop, stoppable

__all__ = ["Ended", "execute", "place"]

Ended = Result | Pruned | Failed
"""How a run can end: with a result, stopped by the rule of a search, or failed by itself."""

POLL = 0.2  # seconds between two looks at whether to stop
PACE = 1.0  # seconds between two looks at what other processes train


def place(job: Job, wanted: int, root: Path) -> AbstractContextManager[Workers]:
    """Open the workers that the setup asks for: this process, others of this machine, or a cluster.

    Args:
        job: how a run is trained.
        wanted: runs that wait.
        root: folder of the runs.

    Raises:
        UsageError: if a cluster is asked for and Ray is not installed.
    """
    setup = job.setup
    if setup.cluster:
        try:
            from senet.execution.cluster.driver import Cluster
        except ImportError:
            raise not_installed("--cluster", "ray", extra="cluster") from None
        return Cluster(job, wanted, root=root, address=setup.cluster, per_gpu=setup.per_gpu)
    jobs = min(setup.jobs, wanted)
    return Here(job) if jobs == 1 and not setup.gpus else Processes(job, jobs, gpus=setup.gpus)


def execute(
    runs: Sequence[Run],
    store: Store,
    setup: Setup,
    *,
    watch: Watch | None = None,
    say: Callable[[str], None] | None = None,
    judge: Judge | None = None,
    retry_failed: bool = False,
    workers: Open | None = None,
) -> Iterator[Ended]:
    """Train what the store lacks and yield how every run ended as soon as it has, each once.

    The data sets are loaded before the first step, so that a missing one is known at once. A run that fails by itself
    is yielded as `Failed`, now and at later starts, and the others go on.

    Args:
        runs: what is wanted, in order of wish.
        store: where results are and go.
        setup: device, processes, paths.
        watch: is told how the runs go that are trained here.
        say: is told in a line which runs other processes train, while nothing is left to train here.
        judge: may stop runs that fall behind; these are yielded as `Pruned`.
        retry_failed: train runs again that failed before.
        workers: opens the place where runs are trained; None opens the one that the setup asks for.

    Raises:
        CheckpointError: if a result is damaged, or of other images than those that are there.
        Interrupted: if a signal asked to stop; all running ones are saved and go on with the same command.
        SenetError: if this machine cannot train; the others are saved.
        UsageError: under torchrun, whose processes share one training.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError("torchrun gives all its processes one training; use it with `senet train`.")
    wanted = list(dict.fromkeys(runs))
    if retry_failed:
        for run in wanted:
            store.forget_failure(run)
    rule = judge.rule if judge is not None else None
    ended = {run: found for run in wanted if (found := store.ended(run, rule)) is not None}
    missing = [run for run in wanted if run not in ended]
    images = _Images()
    # a user's folder is known by its content only: finished runs are held against it too
    for spec in dict.fromkeys(run.data for run in wanted if run in missing or run.data.name == "folder"):
        images.now[spec] = loaded(spec, setup).fingerprint
    for found in ended.values():
        images.check(found)
    yield from ended.values()
    if not missing:
        return
    job = Job(setup, judge)
    open_workers = workers or partial(place, root=store.root)
    with stoppable(announce=True) as stop, open_workers(job, len(missing)) as opened:
        for found in _Work(missing, store, opened, stop, judge, watch or _ignore, say or _ignore):
            images.check(found)
            yield found


class _Images:
    """The images that results saw: those that are there now, or those of the first result."""

    def __init__(self) -> None:
        self.now: dict[DataSpec, str] = {}

    def check(self, found: Ended) -> None:
        if isinstance(found, Failed):
            return
        run, now = found.run, self.now.setdefault(found.run.data, found.data)
        if found.data != now:
            raise CheckpointError(
                f"run {run.id} ({run.design}) saw other images than there are now: {found.data} -> {now}; remove its "
                "result, choose another folder of runs, or bring the images back."
            )


class _Work:
    """The runs that have not ended: those that wait, for a worker or for another process, and those under way here."""

    def __init__(
        self,
        runs: Sequence[Run],
        store: Store,
        place: Workers,
        stop: Stop,
        judge: Judge | None,
        watch: Watch,
        say: Callable[[str], None],
    ) -> None:
        self.waiting, self.under_way = list(runs), list[Run]()
        self.store, self.place, self.stop, self.watch, self.say = store, place, stop, watch, say
        self.rule = judge.rule if judge is not None else None
        self.failure: Exception | None = None
        self._looked = -PACE
        self._said = ""

    def __iter__(self) -> Iterator[Ended]:
        while self.waiting or self.under_way:
            if self.stop or self.failure:
                self.waiting.clear()
                self.place.stop()
            elif time.monotonic() - self._looked >= PACE:
                yield from self._look()
            if not self.under_way:
                time.sleep(POLL)
            for run, outcome in self.place.listen(self.watch, seconds=POLL):
                self.under_way.remove(run)
                yield from self._settle(run, outcome)
        if self.failure is not None and not isinstance(self.failure, Interrupted):
            raise self.failure
        if self.stop or self.failure:
            raise self.stop.error(f"{self.store.root}: stopped and saved; the same command goes on from here.")

    def _look(self) -> Iterator[Ended]:
        """Yield what other processes have ended, and start what nobody trains while there are free workers."""
        self._looked = time.monotonic()
        others: list[str] = []
        for run in list(self.waiting):
            folder = self.store.folder(run)
            name = holder(folder)  # before the look at its end, which comes before the lock is given back
            if (found := self.store.ended(run, self.rule)) is not None:
                self.waiting.remove(run)
                yield found
            elif name:
                others.append(name)
            elif self.place.free:
                self.waiting.remove(run)
                self.under_way.append(run)
                self.place.start(run, folder)
        if others and not self.under_way and (said := _waits_for(others)) != self._said:
            self._said = said
            self.say(said)

    def _settle(self, run: Run, outcome: Outcome) -> Iterator[Ended]:
        """Yield how a run has ended, or remember why this machine cannot go on."""
        folder = self.store.folder(run)
        if isinstance(outcome, InUse):  # another process was faster
            self.waiting.append(run)
            return
        self._looked = -PACE  # a worker is free
        if isinstance(outcome, Result):
            yield outcome
        elif isinstance(outcome, StoppedEarly) and (pruned := read_pruned(folder)) is not None:
            yield pruned
        elif is_of_the_run(outcome):
            yield read_failed(folder) or Failed.of(run, outcome)
        elif self.failure is None or isinstance(self.failure, Interrupted):
            self.failure = outcome


def _waits_for(others: Sequence[str]) -> str:
    names = ", ".join(dict.fromkeys(name.partition(" since ")[0] for name in others))
    runs = "1 run" if len(others) == 1 else f"{len(others)} runs"
    return f"waiting for {runs} of other commands: {names}"


def _ignore(_: object) -> None: ...
