"""Processes that train one run after another for a parent: who does what, what they say, how they end.

A worker that dies takes one run down to its last checkpoint; a parent that dies makes its workers save and leave.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from senet.errors import SenetError
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.stop import stoppable
from senet.lab.train import Progress
from senet.signals import SIGNALS, held

__all__ = ["Job", "Worker", "crew", "listen"]

CONTEXT = multiprocessing.get_context("spawn")  # a fork would take over the threads and the GPU of the parent

Job = Callable[[Run, Path, Callable[[Progress], None]], Result]
Message = Progress | Result | BaseException | None  # None: ready


class Worker:
    """A process that trains.

    Args:
        job: trains a run in a folder; must be picklable.
    """

    def __init__(self, job: Job) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_serve, args=(theirs, job, multiprocessing.get_start_method()))
        self.run: Run | None = None
        self._folder = Path()
        self._ready = False
        with held():  # it lets them in when it can heed them
            self.process.start()
        theirs.close()

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
        if isinstance(message, Result | BaseException):
            self.run = None
        return message

    def ask_to_stop(self) -> None:
        """Let it save and leave its run; before it has begun there is nothing to save."""
        if not self._ready:
            self.process.kill()
            self.run = None
        elif self.run is not None and self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, signal.SIGUSR1)

    def _ended(self) -> SenetError:
        assert self.run is not None
        self.process.join()
        code = self.process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return SenetError(
            f"{self._folder}: the process that trained {self.run.model} {self.run.design} seed {self.run.seed} {how}"
            f"{hint}; the same command goes on from its last checkpoint."
        )


@contextmanager
def crew(size: int, job: Job) -> Iterator[list[Worker]]:
    """Start workers; at the end let those that still train save, and wait for all."""
    workers: list[Worker] = []
    try:
        workers += [Worker(job) for _ in range(size)]
        yield workers
    finally:
        for worker in workers:
            worker.ask_to_stop()
            worker.pipe.close()
        for worker in workers:
            worker.process.join()


def listen(workers: Sequence[Worker], *, seconds: float) -> Iterator[tuple[Worker, Message]]:
    """Yield what busy workers say within a while."""
    busy = {worker.pipe: worker for worker in workers if worker.run is not None}
    for pipe in wait(list(busy), timeout=seconds):
        worker = busy[pipe]  # type: ignore[index]
        yield worker, worker.hear()


def _serve(pipe: "Connection[Message, tuple[Run, Path]]", job: Job, start_method: str) -> None:
    multiprocessing.set_start_method(start_method, force=True)  # else image workers start as this one did: in seconds
    with stoppable(), suppress(EOFError, OSError):  # the parent has no more to do, or has ended
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        pipe.send(None)
        while True:
            pipe.send(_outcome(job, *pipe.recv(), pipe))


def _outcome(job: Job, run: Run, folder: Path, pipe: "Connection[Message, tuple[Run, Path]]") -> Message:
    def watch(progress: Progress) -> None:
        try:
            pipe.send(progress)
        except OSError:  # nobody listens any more
            os.kill(os.getpid(), signal.SIGUSR1)

    try:
        return job(run, folder, watch)
    except SenetError as error:
        return error
    except Exception as error:  # a bug: its traceback would not pass through the pipe
        return RuntimeError("".join(traceback.format_exception(error)))
