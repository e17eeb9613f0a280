"""Where runs are trained: what `execute` asks of a place, and the place that is this process.

The other places are processes of this machine (`senet.execution.processes`) and a cluster.
"""

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
from senet.experiments.early_stopping import Judge
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.training.progress import Progress
from senet.training.train import train

__all__ = ["Here", "Job", "Open", "Outcome", "Watch", "Workers", "loaded"]

Outcome = Result | Exception
Watch = Callable[[Progress], None]


@runtime_checkable
class Workers(Protocol):
    """Train runs somewhere, some at a time; a context that leaves nothing running behind.

    A run that was started comes out of `listen` once, by its result or by the error that ended it.
    """

    @property
    def free(self) -> int:
        """Runs that can be started now."""

    def start(self, run: Run, folder: Path) -> None:
        """Begin to train a run in its folder, or go on with it."""

    def listen(self, watch: Watch, *, seconds: float) -> Iterator[tuple[Run, Outcome]]:
        """Hand progress to `watch` and yield what has ended; return after some seconds if nothing has."""

    def stop(self) -> None:
        """Ask what trains to save and leave; may be called again and again."""


class Job:
    """How one run is trained, wherever that is; can be pickled.

    Args:
        setup: device, threads, paths.
        judge: may stop a run that falls behind.
        retry_failed: train a run that is known to fail.
        say: is told who trains in the folder of a run, whose end is then waited for; None refuses such a folder.
    """

    def __init__(
        self,
        setup: Setup,
        judge: Judge | None = None,
        *,
        retry_failed: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.setup, self.judge, self.retry_failed, self.say = setup, judge, retry_failed, say

    def __call__(self, run: Run, folder: Path, watch: Watch | None = None) -> Result:
        """Train a run in this process, go on with it, or read its result, see `senet.training.train.train`.

        Args:
            run: what to train.
            folder: of this run alone.
            watch: is told how it goes.

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
                loaded(run.data, setup),
                folder,
                device=setup.device,
                workers=setup.workers,
                save_every=setup.save_every,
                tensorboard=setup.tensorboard,
                fused=setup.fused,
                graph=setup.graph,
                watch=watch,
                judge=self.judge,
                retry_failed=self.retry_failed,
                say=self.say,
            )
        except SenetError as error:
            error.add_note(f"{run.model} {run.design} seed {run.seed}")
            raise


Open = Callable[[Job, int], AbstractContextManager[Workers]]
"""Opens workers for a job; the number says how many runs wait."""


@lru_cache(maxsize=2)
def loaded(spec: DataSpec, setup: Setup) -> Data:
    """Load a data set, or return it again."""
    return load_for(setup, spec)


class Here:
    """This process: one run at a time, which `listen` trains to its end.

    Args:
        job: how.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._given: tuple[Run, Path] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._given = None

    @property
    def free(self) -> int:
        """One, between two runs."""
        return int(self._given is None)

    def start(self, run: Run, folder: Path) -> None:
        """Take a run."""
        self._given = run, folder

    def listen(self, watch: Watch, *, seconds: float) -> Iterator[tuple[Run, Outcome]]:
        """Train the run."""
        if self._given is None:
            return
        (run, folder), self._given = self._given, None
        try:
            yield run, self._job(run, folder, watch)
        except Exception as error:
            yield run, error

    def stop(self) -> None:
        """Do nothing: the training looks at the flag of this process itself."""
