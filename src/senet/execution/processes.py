"""The executor of several processes on this machine, each of which trains one run after another.

A process that dies loses the work of one run since its last checkpoint; if the parent dies, all its processes end.
"""

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Self

from senet.errors import Interrupted, SenetError
from senet.execution.child import begin
from senet.execution.executors import RunOutcome, RunTrainer, Watch, load_cached
from senet.experiments.run import Run
from senet.signals import SIGNALS, held, stoppable
from senet.training.progress import Progress

__all__ = ["ProcessExecutor"]

CONTEXT = multiprocessing.get_context("spawn")  # a fork would take over the threads and the GPU of the parent


@dataclass(frozen=True)
class Warned:
    """A warning of a process, to be raised in this one, where its filters and its terminal are."""

    warning: Warning


Message = Progress | Warned | RunOutcome | None  # None: ready to receive a run


class ProcessExecutor:
    """Train runs in up to `size` processes, which start when they are first needed.

    Args:
        trainer: trains a run.
        size: number of processes.
        gpus: `CUDA_VISIBLE_DEVICES` of each process, at least `size` values; empty keeps that of this process.
    """

    def __init__(self, trainer: RunTrainer, size: int, *, gpus: Sequence[str] = ()) -> None:
        self._trainer, self._size, self._gpus = trainer, size, gpus
        self._all: list[_Process] = []

    def __enter__(self) -> Self:
        load_cached.cache_clear()  # each process loads its own data
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one in self._all:
            one.ask_to_stop()
            one.pipe.close()
        for one in self._all:
            one.process.join()

    @property
    def free(self) -> int:
        """Number of processes that are idle or not started yet."""
        return self._size - sum(one.run is not None for one in self._all)

    def start(self, run: Run, folder: Path) -> None:
        """Send a run to an idle process, or to a new one."""
        idle = next((one for one in self._all if one.run is None), None)
        if idle is None:
            taken = [one.gpu for one in self._all]
            free = list(self._gpus)  # a GPU that several runs share is listed several times
            for gpu in filter(None, taken):
                free.remove(gpu)
            self._all.append(idle := _Process(self._trainer, free[0] if free else ""))
        idle.send(run, folder)

    def listen(self, watch: Watch, *, seconds: float) -> Iterator[tuple[Run, RunOutcome]]:
        """Receive messages from the processes; wait at most `seconds` for the first."""
        busy = {one.pipe: one for one in self._all if one.run is not None}
        for pipe in wait(list(busy), timeout=seconds):
            one = busy[pipe]  # type: ignore[index]
            run = one.run
            match one.receive():
                case Progress() as progress:
                    watch(progress)
                case Warned() as warned:
                    warnings.warn(warned.warning, stacklevel=2)
                case None:
                    pass
                case outcome:
                    assert run is not None
                    if not one.process.is_alive():
                        self._all.remove(one)
                    yield run, outcome

    def stop(self) -> None:
        """Ask the processes to save and leave their runs."""
        for one in self._all:
            one.ask_to_stop()


class _Process:
    """A child process that trains."""

    def __init__(self, trainer: RunTrainer, gpu: str = "") -> None:
        self.gpu = gpu
        self.pipe, theirs = CONTEXT.Pipe()
        by_main = threading.current_thread() is threading.main_thread()
        self.process = CONTEXT.Process(target=begin, args=(theirs, by_main))
        self.run: Run | None = None
        self._folder = Path()
        self._ready = self._dismissed = False
        with held(), _environment("CUDA_VISIBLE_DEVICES", gpu):  # it unblocks signals once it can handle them
            self.process.start()
        theirs.close()
        with suppress(OSError):  # it has ended: `receive` returns the error
            self.pipe.send((_serve, trainer, multiprocessing.get_start_method()))

    def send(self, run: Run, folder: Path) -> None:
        """Send a run to train."""
        self.run, self._folder = run, folder
        with suppress(OSError):  # it has ended: `receive` returns the error
            self.pipe.send((run, folder))

    def receive(self) -> Message:
        """Return the next message; after a result or an error the process is idle."""
        try:
            message: Message = self.pipe.recv()
        except (EOFError, OSError):
            message = self._ended()
        self._ready = True
        if not isinstance(message, Progress | Warned | None):
            self.run = None
        return message

    def ask_to_stop(self) -> None:
        """Ask it to save and leave its run; kill it if it has not begun, because there is nothing to save."""
        if not self._ready:
            self._dismissed = True
            self.process.kill()
        elif self.run is not None and self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, signal.SIGUSR1)

    def _ended(self) -> SenetError:
        assert self.run is not None
        self.process.join()
        if self._dismissed:
            return Interrupted(f"{self._folder}: stopped before the run began.")
        code = self.process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        hint = ", perhaps because the memory was full" if -code == signal.SIGKILL else ""
        return SenetError(
            f"{self._folder}: the process that trained {self.run.model} {self.run.design} seed {self.run.seed} {how}"
            f"{hint}; run the same command again to continue from the last checkpoint."
        )


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for processes that start meanwhile: CUDA reads it once, when torch is imported."""
    before = os.environ.get(name)
    if value:
        os.environ[name] = value
    try:
        yield
    finally:
        if value and before is None:
            del os.environ[name]
        elif before is not None:
            os.environ[name] = before


def _serve(pipe: "Connection[Message, tuple[Run, Path]]", trainer: RunTrainer, start_method: str) -> None:
    def watch(progress: Progress) -> None:
        with suppress(OSError):  # the parent has ended, and this process will in a moment
            pipe.send(progress)

    def warn(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        whole = isinstance(message, Warning) and category.__module__.startswith(("builtins", "senet."))
        with suppress(OSError):
            pipe.send(Warned(message if whole else UserWarning(str(message))))  # type: ignore[arg-type]

    warnings.showwarning = warn
    multiprocessing.set_start_method(start_method, force=True)  # image workers would else be spawned, in seconds
    with stoppable(), suppress(EOFError, OSError):  # the parent has closed the pipe, or has ended
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        pipe.send(None)
        while True:
            pipe.send(trainer.outcome(*pipe.recv(), watch))
