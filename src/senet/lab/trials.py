"""The trials of a study or a search, one for each run, in a database that any number of workers share.

A run is at any time in one of five states: waiting, running, complete, pruned (a search stopped it early), failed.
The database tells them apart by the trials of the run: one of the first four stands for it; if all have failed, the
last one says whether it is to be tried again (its worker died) or not (its training failed). Every pull first mends
what does not fit, so a worker may be killed between any two steps, also between the two steps of a repair.
"""

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import optuna
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState, create_trial

from senet.errors import SenetError, StorageError, unknown
from senet.lab.database import Database, address, quiet
from senet.lab.early import Pruned
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.scale import settings

__all__ = ["GOALS", "Failure", "Overview", "Trial", "Trials"]

HEARTBEAT = 15  # seconds between two signs of life
GRACE = 60  # seconds without one, then the worker is dead
RETRIES = 5  # of a run whose workers die: more is no accident, e.g. want of memory

GOALS: Mapping[str, tuple[Literal["minimize", "maximize"], Callable[[Result], float]]] = {
    "accuracy": ("maximize", lambda result: result.accuracy),
    "loss": ("minimize", lambda result: result.last.test_loss),
    "params": ("minimize", lambda result: float(result.params)),
    "macs": ("minimize", lambda result: float(result.macs)),
}
"""What a trial can be valued by: the direction that is better, and the number."""

AXES: Mapping[str, str] = {
    "accuracy": "top-1 accuracy [%]",
    "loss": "loss [nats]",
    "params": "parameters",
    "macs": "multiply-adds",
}
"""What a goal is called where others show it; Optuna would say "Objective 0"."""

ALIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Trial:
    """A run that this process is to train.

    Attributes:
        id: in the database.
        number: in the study, from 0.
        run: what to train.
    """

    id: int
    number: int
    run: Run


@dataclass(frozen=True)
class Failure:
    """Why a run is given up.

    Attributes:
        line: what the worker said.
        exit_code: what the command line returns for it.
    """

    line: str
    exit_code: int = 1


@dataclass(frozen=True)
class Overview:
    """How runs stand: every one is in one of the five.

    Attributes:
        waiting: nobody trains them.
        running: the worker that trains each.
        complete: their results lie in the folder of runs.
        failed: why each is given up.
        pruned: stopped early; the record lies in the folder of runs.
    """

    waiting: list[Run] = field(default_factory=list)
    running: dict[Run, str] = field(default_factory=dict)
    complete: list[Run] = field(default_factory=list)
    failed: dict[Run, Failure] = field(default_factory=dict)
    pruned: list[Run] = field(default_factory=list)


class Trials:
    """The trials of one study. Use it as a context.

    Args:
        database: holds the studies.
        name: of the study; workers that give the same name share its trials.
        goals: names of `GOALS` that a trial is valued by.

    Raises:
        StorageError: if the database fails, or holds a study of this name with other goals.
        SpecError: if a goal is not known.
    """

    def __init__(self, database: Database, name: str, *, goals: Sequence[str] = ("accuracy",)) -> None:
        if strange := [goal for goal in goals if goal not in GOALS]:
            raise unknown("goals", strange[0], GOALS)
        self.name, self.goals = name, tuple(goals)
        self._database, self._storage = database, database.storage
        self.heartbeat = database.storage.get_heartbeat_interval() or HEARTBEAT
        self.worker = f"process {os.getpid()} on {socket.gethostname()}"
        with database.turn():
            directions = [GOALS[goal][0] for goal in goals]
            self._study = optuna.create_study(
                study_name=name, storage=self._storage, directions=directions, load_if_exists=True
            )
            before = self._study.user_attrs.get("goals")
            if before is None and not self._study.get_trials(deepcopy=False):
                with quiet():
                    self._study.set_metric_names([AXES[goal] for goal in goals])
                self._study.set_user_attr("goals", list(goals))
            elif before != list(goals):
                raise StorageError(
                    f"{database.name} holds a study {name!r} with the goals {before}, asked are {list(goals)}; use "
                    "another storage or another name."
                )

    @classmethod
    def open(
        cls,
        url: str,
        name: str,
        *,
        runs: Path,
        goals: Sequence[str] = ("accuracy",),
        heartbeat: int | None = None,
        grace: int | None = None,
    ) -> "Trials":
        """Open a study in a storage, or make it; any number of processes may do so at once.

        Args:
            url: `sqlite`, `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
            name: of the study.
            runs: the folder of runs; `sqlite` is a file in it.
            goals: names of `GOALS` that a trial is valued by.
            heartbeat: seconds between two signs of life; None is 15.
            grace: seconds without one after which a worker is taken for dead; None is 60.

        Raises:
            SpecError: if a goal is not known.
            StorageError: if the database fails, or holds a study of this name with other goals.
            UsageError: if the URL is none of these, or its driver is not installed.
        """
        database = Database(address(url, runs=runs), heartbeat=heartbeat or HEARTBEAT, grace=grace or GRACE)
        with ExitStack() as undo:
            undo.callback(database.close)
            trials = cls(database, name, goals=goals)
            undo.pop_all()
        return trials

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()

    def add(self, runs: Iterable[Run]) -> None:
        """Let runs wait for a worker; those that are there already stay as they are."""
        with self._database.turn():
            self._mend(runs)

    def pull(self, runs: Sequence[Run], *, leave: Iterable[Run] = ()) -> Trial | None:
        """Take the first of some runs that waits; None if none does.

        Before that the trials of dead workers fail, and wait again.

        Args:
            runs: what this worker wants, in order of wish; those that are not there are added.
            leave: those of them that it does not want now.
        """
        left = set(leave)
        with self._database.turn():
            if self._database.is_steady:  # after an outage the living must first have time to say so
                with quiet():
                    fail_stale_trials(self._study)
            waiting = {t.user_attrs["run"]: t for t in self._mend(runs) if t.state == TrialState.WAITING}
            for run in runs:
                if run.id in waiting and run not in left:
                    found = waiting[run.id]
                    # the sign of life comes first: a trial that runs without one would never be found dead
                    self._storage.record_heartbeat(found._trial_id)
                    self._storage.set_trial_user_attr(found._trial_id, "worker", self.worker)
                    self._storage.set_trial_state_values(found._trial_id, TrialState.RUNNING)
                    return Trial(found._trial_id, found.number, run)
        return None

    def beat(self, trial: int) -> None:
        """Say that a trial is being worked on.

        Raises:
            StorageError: if the database fails.
        """
        with self._database.plain_errors():
            self._storage.record_heartbeat(trial)

    def tell(self, trial: Trial, result: Result) -> None:
        """Complete a trial. If it was taken for dead meanwhile, its successor will find the result in the folder."""
        values = [GOALS[goal][1](result) for goal in self.goals]
        about = {
            "accuracy": round(result.accuracy, 4),
            "params": result.params,
            "seconds": round(result.seconds, 3),
            "device": result.environment.device,
        }
        self._end(trial, TrialState.COMPLETE, about, values)

    def prune(self, trial: Trial, pruned: Pruned) -> None:
        """End a trial whose training a search stopped early."""
        about = {"pruned": f"{pruned}", "seconds": round(pruned.seconds, 3)}
        self._end(trial, TrialState.PRUNED, about)

    def fail(self, trial: Trial, error: BaseException) -> None:
        """Give a run up: its training failed, and would fail again."""
        line = " ".join(str(error).split()) or type(error).__name__
        code = error.exit_code if isinstance(error, SenetError) else 1
        self._end(trial, TrialState.FAIL, {"error": line, "exit_code": code})

    def give_back(self, trial: Trial) -> None:
        """Let a run wait again: this worker was told to stop, or cannot train it."""
        self._end(trial, TrialState.WAITING, {})

    def again(self, runs: Iterable[Run]) -> None:
        """Let runs that were given up wait again."""
        with self._database.turn():
            trials = self._by_run()
            for run in runs:
                if self._failure(trials.get(run.id, [])):
                    self._enqueue(run)

    def overview(self, runs: Iterable[Run]) -> Overview:
        """Say how runs stand. Runs that are not there count as waiting."""
        with self._database.turn():
            trials = self._by_run()
        seen = Overview()
        for run in runs:
            alive = [trial for trial in trials.get(run.id, []) if trial.state in ALIVE]
            states = {trial.state for trial in alive}
            if TrialState.COMPLETE in states:
                seen.complete.append(run)
            elif TrialState.PRUNED in states:
                seen.pruned.append(run)
            elif TrialState.RUNNING in states:
                seen.running[run] = str(alive[-1].user_attrs.get("worker", ""))
            elif not states and (failure := self._failure(trials.get(run.id, []))):
                seen.failed[run] = failure
            else:
                seen.waiting.append(run)
        return seen

    def _end(
        self, trial: Trial, state: TrialState, about: Mapping[str, Any], values: Sequence[float] | None = None
    ) -> None:
        with self._database.turn():
            if self._storage.get_trial(trial.id).state != TrialState.RUNNING:
                return  # taken for dead: it is its successor's now
            for name, value in about.items():
                self._storage.set_trial_user_attr(trial.id, name, value)
            self._storage.set_trial_state_values(trial.id, state, values)

    def _mend(self, runs: Iterable[Run]) -> list[FrozenTrial]:
        """Enqueue what no living trial stands for, unless it has failed for good; give all living trials."""
        trials = self._by_run()
        for run in runs:
            there = trials.get(run.id, [])
            if any(trial.state in ALIVE for trial in there) or self._failure(there):
                continue
            if there:
                with quiet():
                    # it adds to the history in the trial that it is given
                    RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)(self._study, deepcopy(there[-1]))
            else:
                self._enqueue(run)
        return [trial for there in self._by_run().values() for trial in there if trial.state in ALIVE]

    def _enqueue(self, run: Run) -> None:
        about = {"run": run.id, "model": run.model, "design": run.design, "seed": run.seed, "settings": settings(run)}
        self._study.add_trial(create_trial(state=TrialState.WAITING, user_attrs=about))

    def _by_run(self) -> dict[str, list[FrozenTrial]]:
        trials: dict[str, list[FrozenTrial]] = {}
        for trial in self._study.get_trials(deepcopy=False):
            trials.setdefault(trial.user_attrs.get("run", ""), []).append(trial)
        return trials

    def _failure(self, trials: Sequence[FrozenTrial]) -> Failure | None:
        """Say why a run is given up; None if it is not."""
        if not trials or any(trial.state in ALIVE for trial in trials):
            return None
        last = trials[-1]
        if line := last.user_attrs.get("error"):
            return Failure(str(line), int(last.user_attrs.get("exit_code", 1)))
        died = len(last.system_attrs.get("retry_history", ())) + 1
        if died > RETRIES:
            worker = last.user_attrs.get("worker", "a worker")
            return Failure(f"{died} workers died of it, the last one was {worker}; has it memory enough?")
        return None
