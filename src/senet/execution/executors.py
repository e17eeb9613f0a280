"""The interface by which `execute` trains runs, and the executor that trains them in this process.

The other executors are processes of this machine (`senet.execution.processes`) and a Ray cluster
(`senet.execution.cluster.executor`).
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from senet.data.dataset import Data
from senet.data.loading import load_for
from senet.errors import SenetError
from senet.experiments.data_spec import DataSpec
from senet.experiments.early_stopping import Pruner
from senet.experiments.failed_run import is_of_the_run
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.training.progress import Progress
from senet.training.train import train

__all__ = ["Executor", "LocalExecutor", "OpenExecutor", "RunOutcome", "RunTrainer", "Watch", "load_cached"]

RunOutcome = Result | Exception
Watch = Callable[[Progress], None]


@runtime_checkable
class Executor(Protocol):
    """Train runs, several at a time; a context manager that leaves no training behind.

    `listen` yields each run that was started once, with its result or the error that ended it.
    """

    @property
    def free(self) -> int:
        """Number of runs that can be started now."""

    def start(self, run: Run, folder: Path) -> None:
        """Start or resume the training of a run in its folder."""

    def listen(self, watch: Watch, *, seconds: float) -> Iterator[tuple[Run, RunOutcome]]:
        """Pass progress to `watch` and yield the runs that have ended; wait at most `seconds` for one."""

    def stop(self) -> None:
        """Ask all trainings to save and stop; may be called repeatedly."""


class RunTrainer:
    """Train one run with given options, in any process; can be pickled.

    Args:
        setup: device, threads, paths.
        pruner: may stop a run that falls behind.
        retry_failed: train a run that is known to fail.
        say: receives the name of the process that holds the folder of the run, and the call then waits for it; with
            None such a folder raises `InUse`.
    """

    def __init__(
        self,
        setup: Setup,
        pruner: Pruner | None = None,
        *,
        retry_failed: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.setup, self.pruner, self.retry_failed, self.say = setup, pruner, retry_failed, say

    def __call__(self, run: Run, folder: Path, watch: Watch | None = None) -> Result:
        """Train or resume a run in this process, or read its result, see `senet.training.train.train`.

        Raises:
            RunFailed: if another process has found that the run fails.
            SenetError: as `train` does, with a note that names the run.
        """
        import torch

        if threads := self.setup.threads_each():
            torch.set_num_threads(threads)
        setup = self.setup
        try:
            return train(
                run,
                load_cached(run.data, setup),
                folder,
                setup,
                watch=watch,
                pruner=self.pruner,
                retry_failed=self.retry_failed,
                say=self.say,
            )
        except SenetError as error:
            error.add_note(f"{run.model} {run.design} seed {run.seed}")
            raise

    def outcome(self, run: Run, folder: Path, watch: Watch) -> RunOutcome:
        """Train a run for another process: return the result or the error, which can be pickled."""
        try:
            return self(run, folder, watch)
        except Exception as error:
            if isinstance(error, SenetError) or not is_of_the_run(error):
                return error
            return RuntimeError("".join(traceback.format_exception(error)))  # a bug: its class may be unknown there


OpenExecutor = Callable[[RunTrainer, int], AbstractContextManager[Executor]]
"""Opens an executor; the number is that of the runs to train."""


@lru_cache(maxsize=2)
def load_cached(spec: DataSpec, setup: Setup) -> Data:
    """Load a data set; the last two stay in memory."""
    return load_for(setup, spec)


class LocalExecutor:
    """Train one run at a time in this process; `listen` trains it to its end."""

    def __init__(self, trainer: RunTrainer) -> None:
        self._trainer = trainer
        self._next: tuple[Run, Path] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._next = None

    @property
    def free(self) -> int:
        """1 between two runs, else 0."""
        return int(self._next is None)

    def start(self, run: Run, folder: Path) -> None:
        """Store a run for `listen`."""
        self._next = run, folder

    def listen(self, watch: Watch, *, seconds: float) -> Iterator[tuple[Run, RunOutcome]]:
        """Train the stored run."""
        if self._next is None:
            return
        (run, folder), self._next = self._next, None
        try:
            yield run, self._trainer(run, folder, watch)
        except Exception as error:
            yield run, error

    def stop(self) -> None:
        """Do nothing: the training reads the stop flag of this process itself."""
