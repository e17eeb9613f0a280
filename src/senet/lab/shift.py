"""A worker's shift: it pulls trials from a storage and trains them until every run that it wants is done.

When nothing waits it stands by, because the worker of a run that is still trained may die: whoever is left takes
the run over from its last checkpoint.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from senet.data.spec import DataSpec
from senet.errors import CheckpointError, Interrupted, NumericError, SenetError, StoppedEarly, StorageError
from senet.files.lock import InUse
from senet.lab.early import Judge, Pruned, read_pruned
from senet.lab.execute import Setup, execute
from senet.lab.heart import Heart
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.stop import Stop, stoppable
from senet.lab.store import Store
from senet.lab.train import Progress
from senet.lab.trials import Overview, Trial, Trials
from senet.lab.workers import Worker, crew, listen

__all__ = ["evaluate_with", "work"]

OUTAGE = 600  # seconds without the database before a worker gives up; its training goes on all the while
AGAIN = 2.0  # seconds between two attempts
REMINDER = 60.0  # seconds until a worker says again that the database is away
BRIEF = 0.2  # seconds between two looks at whether to stop
LATE = 10.0  # seconds that a network disk may take to show the file of another machine
OF_THE_RUN = (NumericError, CheckpointError)  # it would happen to every worker; other errors are of this machine

T = TypeVar("T")


def work(
    runs: Sequence[Run],
    store: Store,
    trials: Trials,
    setup: Setup,
    *,
    watch: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
    judge: Judge | None = None,
    pruned: Callable[[Pruned], None] | None = None,
) -> Iterator[Result]:
    """Train runs together with all other workers on the same trials; yield every result, whoever made it, once.

    Ends when every run is complete or given up (`trials.overview` says which).

    Args:
        runs: what is wanted, in order of wish; their trials are added where they are missing.
        store: where results are and go; all workers need the same folder.
        trials: says which run is whose.
        setup: device, processes, paths.
        watch: is told how the runs of this worker go.
        say: is told in a line what else happens.
        judge: may stop runs that fall behind; the trials of several searches with several rules need several names.
        pruned: is told of them, whoever trained them.

    Raises:
        CheckpointError: if two results saw other images.
        Interrupted: if a signal asked to stop; what was trained is saved and waits for a worker.
        StorageError: if the database is away for ten minutes, or a result lies in another folder of runs.
        SenetError: if this machine cannot train: no data, no space; the run waits for another worker.
    """
    with stoppable() as stop, Heart(trials.beat, seconds=trials.heartbeat) as heart:
        shift = _Shift(runs, store, trials, heart, stop, say or _ignore, pruned or _ignore)
        job = partial(_job, store, setup, judge=judge)
        try:
            yield from shift.news()
            jobs = min(setup.jobs, len(shift.open))
            if jobs > 1:
                yield from _in_processes(shift, jobs, job, watch or _ignore)
            else:
                yield from _here(shift, job, watch or _ignore)
        finally:
            shift.give_back()
        if shift.failure is not None and not isinstance(shift.failure, Interrupted):
            raise shift.failure
        if stop or shift.failure:
            raise stop.error(f"{store.root}: stopped and saved; any worker goes on from here.")


def evaluate_with(
    trials: Trials,
    store: Store,
    setup: Setup,
    *,
    watch: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Callable[[Sequence[Run]], Sequence[Result]]:
    """Make what a search calls: it trains runs with all workers on the trials and gives their results.

    The results are in the order of the runs; one that was given up has none.
    """

    def evaluate(runs: Sequence[Run]) -> Sequence[Result]:
        results = {result.run: result for result in work(runs, store, trials, setup, watch=watch, say=say)}
        return [results[run] for run in dict.fromkeys(runs) if run in results]

    return evaluate


class _Shift:
    """What this worker has in hand and what it knows of the others."""

    def __init__(
        self,
        runs: Sequence[Run],
        store: Store,
        trials: Trials,
        heart: Heart,
        stop: Stop,
        say: Callable[[str], None],
        tell: Callable[[Pruned], None],
    ) -> None:
        self.runs = list(dict.fromkeys(runs))
        self.store, self.trials, self.heart, self.stop, self.say = store, trials, heart, stop, say
        self.tell = tell
        self.pace = max(0.5, trials.heartbeat / 5)  # seconds between two looks at the others
        self.mine: dict[Run, Trial] = {}
        self.failure: BaseException | None = None
        self._made: dict[Run, Result] = {}
        self._known: set[Run] = set()
        self._images: dict[DataSpec, Result] = {}  # the first result with each data set
        self._held: dict[Run, float] = {}  # trained by somebody else in the same folder: until when to leave it
        self._looked = -float("inf")
        self._said = ""
        self.seen = Overview()
        trials.add(self.runs)

    @property
    def open(self) -> list[Run]:
        """Runs that are neither complete nor pruned nor given up."""
        return [*self.seen.waiting, *self.seen.running]

    @property
    def is_over(self) -> bool:
        """Whether this worker has no more to do."""
        return not self.mine and not self.open

    @property
    def is_stopping(self) -> bool:
        """Whether this worker takes no more runs."""
        return bool(self.stop) or self.failure is not None

    def take(self) -> Trial | None:
        """Get a run to train."""
        now = time.monotonic()
        self._held = {run: until for run, until in self._held.items() if until > now}
        trial = self._patiently(lambda: self.trials.pull(self.runs, leave=self._held))
        if trial is not None:
            self.mine[trial.run] = trial
            self.heart.trials.add(trial.id)
        return trial

    def settle(self, run: Run, outcome: Result | BaseException) -> None:
        """Say what has become of a run in hand."""
        trial = self.mine.pop(run)
        self._looked = -float("inf")
        name = f"{run.model} {run.design} seed {run.seed}"
        if isinstance(outcome, Result):
            self._made[run] = outcome
            self._patiently(lambda: self.trials.tell(trial, outcome))
        elif isinstance(outcome, StoppedEarly):
            record = self._find(lambda: read_pruned(self.store.folder(run)), run)
            self._patiently(lambda: self.trials.prune(trial, record))
        elif isinstance(outcome, OF_THE_RUN) or not isinstance(outcome, SenetError):
            self._patiently(lambda: self.trials.fail(trial, outcome))
            self.failure = self.failure or (None if isinstance(outcome, SenetError) else outcome)
        else:
            with suppress(StorageError):  # it will be found dead
                self.trials.give_back(trial)
            if isinstance(outcome, InUse):
                self._held[run] = time.monotonic() + 4 * self.pace
                self.say(f"{name}: {outcome}")
            elif self.failure is None or isinstance(self.failure, Interrupted):
                self.failure = outcome
        self.heart.trials.discard(trial.id)

    def give_back(self) -> None:
        """Leave nothing in hand."""
        for trial in self.mine.values():
            with suppress(StorageError):
                self.trials.give_back(trial)

    def news(self) -> Iterator[Result]:
        """Yield the results that have come since the last look."""
        if time.monotonic() - self._looked < self.pace:
            return
        self.seen = self._patiently(lambda: self.trials.overview(self.runs))
        self._looked = time.monotonic()
        for run, failure in self.seen.failed.items():
            if run not in self._known:
                self._known.add(run)
                self.say(f"given up: {run.model} {run.design} seed {run.seed}: {failure.line}")
        for run in self.seen.pruned:
            if run not in self._known:
                self._known.add(run)
                self.tell(self._find(partial(read_pruned, self.store.folder(run)), run))
        for run in self.seen.complete:
            if run not in self._known:
                self._known.add(run)
                result = self._made.pop(run) if run in self._made else self._find(partial(self.store.get, run), run)
                self._refuse_other_images(result)
                yield result

    def stand_by(self) -> None:
        """Wait a while for others, and say for whom."""
        others = ", ".join(dict.fromkeys(filter(None, self.seen.running.values())))
        number = len(self.seen.running)
        they = "1 run is" if number == 1 else f"{number} runs are"
        said = f"nothing waits; {they} trained by {others}; standing by in case one dies"
        if self.seen.running and not self.seen.waiting and said != self._said:
            self._said = said
            self.say(said)
        end = time.monotonic() + self.pace
        while not self.stop and time.monotonic() < end:
            time.sleep(BRIEF)

    def _refuse_other_images(self, result: Result) -> None:
        first = self._images.setdefault(result.run.data, result)
        if first.data != result.data:
            raise CheckpointError(
                f"runs {first.run.id} and {result.run.id} saw other images: {first.data} and {result.data}; give all "
                "workers the same data set, and remove the folder of the wrong run and its study from the storage."
            )

    def _find(self, look: Callable[[], T | None], run: Run) -> T:
        """Read what the storage says there is; the disk of another machine may show it late."""
        end = time.monotonic() + LATE
        while (found := look()) is None:
            if time.monotonic() > end or self.stop:
                raise StorageError(
                    f"{self.store.folder(run)} has no result, but the storage says that this run is complete; all "
                    "workers need the same folder of runs (--runs)."
                )
            time.sleep(BRIEF)
        return found

    def _patiently(self, step: Callable[[], T]) -> T:
        """Take a step again and again while the database is away, and say so now and then."""
        end, silent = time.monotonic() + OUTAGE, 0.0
        while True:
            try:
                done = step()
            except StorageError as error:
                now = time.monotonic()
                if self.stop or now > end:
                    raise
                if now > silent:
                    self.say(f"{error} Trying again.")
                    silent = now + REMINDER
                time.sleep(AGAIN)
            else:
                if silent:
                    self.say("the storage answers again")
                return done


def _here(shift: _Shift, job: Callable[..., Result], watch: Callable[[Progress], None]) -> Iterator[Result]:
    while not shift.is_stopping and not shift.is_over:
        if (trial := shift.take()) is None:
            shift.stand_by()
        else:
            try:
                outcome: Result | BaseException = job(trial.run, shift.store.folder(trial.run), watch)
            except Exception as error:
                outcome = error
            shift.settle(trial.run, outcome)
        yield from shift.news()


def _in_processes(
    shift: _Shift, jobs: int, job: Callable[..., Result], watch: Callable[[Progress], None]
) -> Iterator[Result]:
    idle = 0.0  # until when to ask for no more
    with crew(jobs, job) as workers:
        while shift.mine or not (shift.is_stopping or shift.is_over):
            for worker in workers:
                if shift.is_stopping:
                    _send_home(shift, worker)
                elif worker.run is None and time.monotonic() > idle:
                    if (trial := shift.take()) is None:
                        idle = time.monotonic() + shift.pace
                    else:
                        worker.give(trial.run, shift.store.folder(trial.run))
            if not shift.mine and not shift.is_stopping:
                shift.stand_by()
            at_work = {worker: worker.run for worker in workers}
            for worker, message in listen(workers, seconds=BRIEF):
                run = at_work[worker]
                if isinstance(message, Progress):
                    watch(message)
                elif isinstance(message, Result | BaseException) and run is not None:
                    shift.settle(run, message)
            yield from shift.news()


def _send_home(shift: _Shift, worker: Worker) -> None:
    run = worker.run
    worker.ask_to_stop()
    if run is not None and worker.run is None:  # it had not begun
        shift.settle(run, Interrupted("stopped before it began"))


def _job(
    store: Store,
    setup: Setup,
    run: Run,
    folder: Path,
    watch: Callable[[Progress], None],
    *,
    judge: Judge | None = None,
) -> Result:
    """Train one run here, or read its result if it is finished."""
    alone = replace(setup, jobs=1, threads=setup.threads_each())
    for result in execute([run], store, alone, watch=watch, judge=judge):
        return result
    raise StoppedEarly(f"{folder}: stopped early")


def _ignore(_: object) -> None: ...
