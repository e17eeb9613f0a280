"""Execute runs: read results that exist, train missing ones, wait for those that another process trains.

Several commands on one folder of runs share the work: a process claims a run by locking its folder. The result of a
run that another process has claimed is read when it is done; if that process ends without a result, the run is
resumed here from its last checkpoint.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from senet.errors import CheckpointError, Interrupted, StoppedEarly, UsageError, not_installed
from senet.execution.executors import Executor, LocalExecutor, OpenExecutor, RunOutcome, RunTrainer, Watch, load_cached
from senet.execution.processes import ProcessExecutor
from senet.execution.store import Store
from senet.experiments.data_spec import DataSpec
from senet.experiments.early_stopping import Pruned, Pruner, Rule, read_pruned
from senet.experiments.failed_run import Failed, is_of_the_run, read_failed
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.files.lock import InUse, holder
from senet.signals import Stop, stoppable

__all__ = ["Ended", "execute", "open_executor"]

Ended = Result | Pruned | Failed
"""How a run can end: with a result, stopped by the rule of a search, or failed by itself."""

POLL = 0.2  # seconds between two checks of the stop flag
PACE = 1.0  # seconds between two checks of what other processes train


def open_executor(trainer: RunTrainer, wanted: int, root: Path) -> AbstractContextManager[Executor]:
    """Open the executor that the setup asks for: this process, several processes, or a cluster.

    Raises:
        UsageError: if a cluster is asked for and Ray is not installed.
    """
    setup = trainer.setup
    if setup.cluster:
        try:
            from senet.execution.cluster.executor import ClusterExecutor
        except ImportError:
            raise not_installed("cluster=...", "ray", extra="cluster") from None
        return ClusterExecutor(trainer, wanted, root=root, address=setup.cluster, per_gpu=setup.per_gpu)
    jobs = min(setup.jobs, wanted)
    return LocalExecutor(trainer) if jobs == 1 and not setup.gpus else ProcessExecutor(trainer, jobs, gpus=setup.gpus)


def execute(
    runs: Sequence[Run],
    store: Store,
    setup: Setup,
    *,
    watch: Watch | None = None,
    say: Callable[[str], None] | None = None,
    pruner: Pruner | None = None,
    retry_failed: bool = False,
    executor: OpenExecutor | None = None,
) -> Iterator[Ended]:
    """Train the runs that the store lacks and yield the end of every run, each once, as soon as it is known.

    The data sets are loaded before the first step, so that a missing one is reported at once. A run that fails by
    itself is yielded as `Failed`, now and at later starts, and the others continue.

    Args:
        runs: the runs, in order of priority.
        store: reads and keeps the results.
        setup: device, processes, paths.
        watch: receives the progress of the runs that are trained here.
        say: receives a line about the runs that other processes train, while none is left to train here.
        pruner: may stop runs that fall behind; these are yielded as `Pruned`.
        retry_failed: train runs again that failed before.
        executor: opens the executor; None opens the one that the setup asks for.

    Raises:
        CheckpointError: if a result is damaged, or was measured on other images than the present ones.
        Interrupted: if a signal asked to stop; all trainings are saved, and the same command resumes them.
        SenetError: if this machine cannot train; the other trainings are saved.
        UsageError: under torchrun, whose processes share one training.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError("torchrun gives all its processes one training; use it with `senet train`.")
    wanted = list(dict.fromkeys(runs))
    if retry_failed:
        for run in wanted:
            store.forget_failure(run)
    rule = pruner.rule if pruner is not None else None
    ended = {run: found for run in wanted if (found := store.ended(run, rule)) is not None}
    missing = [run for run in wanted if run not in ended]
    images = _Images()
    # only its content identifies a user's folder, so finished runs are compared with it too
    for spec in dict.fromkeys(run.data for run in wanted if run in missing or run.data.name == "folder"):
        images.now[spec] = load_cached(spec, setup).fingerprint
    for found in ended.values():
        images.check(found)
    yield from ended.values()
    if not missing:
        return
    trainer = RunTrainer(setup, pruner)
    opening = executor or partial(open_executor, root=store.root)
    with stoppable(announce=True) as stop, opening(trainer, len(missing)) as opened:
        for found in _Execution(missing, store, opened, stop, rule, watch or _ignore, say or _ignore):
            images.check(found)
            yield found


class _Images:
    """Check that all results were measured on the same images: the present ones, or those of the first result."""

    def __init__(self) -> None:
        self.now: dict[DataSpec, str] = {}

    def check(self, found: Ended) -> None:
        if isinstance(found, Failed):
            return
        run, now = found.run, self.now.setdefault(found.run.data, found.data)
        if found.data != now:
            raise CheckpointError(
                f"run {run.id} ({run.design}) was trained on other images than the present ones: {found.data} -> "
                f"{now}; remove its result, choose another folder of runs, or restore the images."
            )


class _Execution:
    """The runs that have not ended: those that wait for the executor or another process, and those in training here."""

    def __init__(
        self,
        runs: Sequence[Run],
        store: Store,
        executor: Executor,
        stop: Stop,
        rule: Rule | None,
        watch: Watch,
        say: Callable[[str], None],
    ) -> None:
        self.waiting, self.running = list(runs), list[Run]()
        self.store, self.executor, self.stop, self.rule, self.watch, self.say = store, executor, stop, rule, watch, say
        self.failure: Exception | None = None
        self._checked = -PACE
        self._said = ""

    def __iter__(self) -> Iterator[Ended]:
        while self.waiting or self.running:
            if self.stop or self.failure:
                self.waiting.clear()
                self.executor.stop()
            elif time.monotonic() - self._checked >= PACE:
                yield from self._start_or_read()
            if not self.running:
                time.sleep(POLL)
            for run, outcome in self.executor.listen(self.watch, seconds=POLL):
                self.running.remove(run)
                yield from self._ended(run, outcome)
        if self.failure is not None and not isinstance(self.failure, Interrupted):
            raise self.failure
        if self.stop or self.failure:
            raise self.stop.error(f"{self.store.root}: stopped and saved; run the same command again to continue.")

    def _start_or_read(self) -> Iterator[Ended]:
        """Yield runs that other processes have ended; start unclaimed ones as far as the executor has room."""
        self._checked = time.monotonic()
        others: list[str] = []
        for run in list(self.waiting):
            folder = self.store.folder(run)
            name = holder(folder)  # read first: the result is written before the lock is released
            if (found := self.store.ended(run, self.rule)) is not None:
                self.waiting.remove(run)
                yield found
            elif name:
                others.append(name)
            elif self.executor.free:
                self.waiting.remove(run)
                self.running.append(run)
                self.executor.start(run, folder)
        if others and not self.running and (said := _waits_for(others)) != self._said:
            self._said = said
            self.say(said)

    def _ended(self, run: Run, outcome: RunOutcome) -> Iterator[Ended]:
        """Yield the end of a run, or store the error because of which this machine cannot train."""
        folder = self.store.folder(run)
        if isinstance(outcome, InUse):  # another process was faster
            self.waiting.append(run)
            return
        self._checked = -PACE  # the executor has room again
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
