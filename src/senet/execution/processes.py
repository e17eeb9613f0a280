"""Processes of this machine that train one run after another for a parent: what they say, and how they end.

A process that dies takes one run down to its last checkpoint, a parent that dies those of all its processes.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Self

from senet.errors import Interrupted, SenetError
from senet.execution.child import begin
from senet.execution.workers import Job, Outcome, Watch, loaded
from senet.experiments.failed_run import is_of_the_run
from senet.experiments.run import Run
from senet.signals import SIGNALS, held, stoppable
from senet.training.progress import Progress

__all__ = ["Processes"]

CONTEXT = multiprocessing.get_context("spawn")  # a fork would take over the threads and the GPU of the parent

Message = Progress | Outcome | None  # None: ready


class Processes:
    """Up to `size` processes; each starts when it is needed first and trains one run after another.

    Args:
        job: how a run is trained.
        size: processes.
        gpus: what each process sees as `CUDA_VISIBLE_DEVICES`, at least `size` of them; empty leaves it as it is.
    """

    def __init__(self, job: Job, size: int, *, gpus: Sequence[str] = ()) -> None:
        self._job, self._size, self._gpus = job, size, gpus
        self._all: list[_Process] = []

    def __enter__(self) -> Self:
        loaded.cache_clear()  # each process reads its own
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one in self._all:
            one.ask_to_stop()
            one.pipe.close()
        for one in self._all:
            one.process.join()

    @property
    def free(self) -> int:
        """Processes that have nothing to do, or were not needed yet."""
        return self._size - sum(one.run is not None for one in self._all)

    def start(self, run: Run, folder: Path) -> None:
        """Hand a run to a process."""
        idle = next((one for one in self._all if one.run is None), None)
        if idle is None:
            taken = [one.gpu for one in self._all]
            free = list(self._gpus)  # several runs may share a GPU: it then stands here several times
            for gpu in filter(None, taken):
                free.remove(gpu)
            self._all.append(idle := _Process(self._job, free[0] if free else ""))
        idle.give(run, folder)

    def listen(self, watch: Watch, *, seconds: float) -> Iterator[tuple[Run, Outcome]]:
        """Hear what the processes say within a while."""
        busy = {one.pipe: one for one in self._all if one.run is not None}
        for pipe in wait(list(busy), timeout=seconds):
            one = busy[pipe]  # type: ignore[index]
            run = one.run
            match one.hear():
                case Progress() as progress:
                    watch(progress)
                case None:
                    pass
                case outcome:
                    assert run is not None
                    if not one.process.is_alive():
                        self._all.remove(one)
                    yield run, outcome

    def stop(self) -> None:
        """Let the processes save and leave their runs."""
        for one in self._all:
            one.ask_to_stop()


class _Process:
    """A process that trains.

    Args:
        job: how a run is trained.
        gpu: what it sees as `CUDA_VISIBLE_DEVICES`; empty leaves it as it is.
    """

    def __init__(self, job: Job, gpu: str = "") -> None:
        self.gpu = gpu
        self.pipe, theirs = CONTEXT.Pipe()
        by_main = threading.current_thread() is threading.main_thread()
        self.process = CONTEXT.Process(target=begin, args=(theirs, by_main))
        self.run: Run | None = None
        self._folder = Path()
        self._ready = self._dismissed = False
        with held(), _environment("CUDA_VISIBLE_DEVICES", gpu):  # it lets signals in when it can heed them
            self.process.start()
        theirs.close()
        with suppress(OSError):  # it has ended: `hear` tells
            self.pipe.send((_serve, job, multiprocessing.get_start_method()))

    def give(self, run: Run, folder: Path) -> None:
        """Let it train a run."""
        self.run, self._folder = run, folder
        with suppress(OSError):  # it has ended: `hear` tells
            self.pipe.send((run, folder))

    def hear(self) -> Message:
        """Take what it has to say; after a result or an error it is free."""
        try:
            message: Message = self.pipe.recv()
        except (EOFError, OSError):
            message = self._ended()
        self._ready = True
        if not isinstance(message, Progress | None):
            self.run = None
        return message

    def ask_to_stop(self) -> None:
        """Let it save and leave its run; before it has begun there is nothing to save."""
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
        hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return SenetError(
            f"{self._folder}: the process that trained {self.run.model} {self.run.design} seed {self.run.seed} {how}"
            f"{hint}; the same command goes on from its last checkpoint."
        )


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Let processes that start meanwhile see a variable: CUDA reads it once, when torch is imported."""
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


def _serve(pipe: "Connection[Message, tuple[Run, Path]]", job: Job, start_method: str) -> None:
    multiprocessing.set_start_method(start_method, force=True)  # else image workers start as this one did: in seconds
    with stoppable(), suppress(EOFError, OSError):  # the parent has no more to do, or has ended
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        pipe.send(None)
        while True:
            pipe.send(_outcome(job, *pipe.recv(), pipe))


def _outcome(job: Job, run: Run, folder: Path, pipe: "Connection[Message, tuple[Run, Path]]") -> Outcome:
    def watch(progress: Progress) -> None:
        with suppress(OSError):  # the parent has ended, and this process in a moment
            pipe.send(progress)

    try:
        return job(run, folder, watch)
    except Exception as error:
        if isinstance(error, SenetError) or not is_of_the_run(error):
            return error
        return RuntimeError("".join(traceback.format_exception(error)))  # a bug: its class need not pass the pipe
