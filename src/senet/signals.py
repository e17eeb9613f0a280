"""Handling of stop signals: the first one asks to stop, a second one ends the process; children end with their parent.

A training checks a flag between two batches. Signals are blocked in processes that start until they can handle them.
A child ends with its parent: its training resumes from the last checkpoint, which is written atomically.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType

from senet.errors import Interrupted

__all__ = ["SIGNALS", "Stop", "end_with_parent", "held", "obey_parent", "stoppable"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
EXIT_CODES = {signal.SIGINT: 130}
RESUMABLE = 75
ECHO = 0.5  # seconds: torchrun and batch systems signal a process and its parent, which signals the process again
PR_SET_PDEATHSIG = 1  # of `prctl` in Linux
STOPPING = b"senet: stopping: runs in training are saved after their step; a second signal ends at once.\n"


@dataclass
class Stop:
    """The signal that asked this process to stop; 0 if there was none."""

    signal: int = 0

    def __bool__(self) -> bool:
        return self.signal != 0

    def error(self, message: str) -> Interrupted:
        """Return the error that ends the run: exit code 130 after Ctrl-C, 75 otherwise."""
        error = Interrupted(message)
        error.exit_code = EXIT_CODES.get(signal.Signals(self.signal) if self.signal else signal.SIGTERM, RESUMABLE)
        return error


_current: Stop | None = None


@contextmanager
def stoppable(*, announce: bool = False) -> Iterator[Stop]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a flag that the training checks.

    A second SIGINT or SIGTERM, half a second later or more, ends the process and its children at once. Within another
    `stoppable`, the flag is the outer one. Signals can be handled in the main thread only: in other threads the flag is
    never set.

    Args:
        announce: print a line on stderr at the first signal.
    """
    global _current
    if _current is not None:
        yield _current
        return
    if threading.current_thread() is not threading.main_thread():
        yield Stop()
        return
    stop, asked = Stop(), 0.0

    def ask(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if not stop:
            stop.signal, asked = number, time.monotonic()
            if announce:
                os.write(2, STOPPING)  # print may be in the middle of a line
        elif number != signal.SIGUSR1 and time.monotonic() - asked > ECHO:
            for child in multiprocessing.active_children():
                child.kill()
            os._exit(EXIT_CODES.get(signal.Signals(number), 128 + number))

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    _current = stop
    try:
        yield stop
    finally:
        _current = None
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held() -> Iterator[None]:
    """Block signals while processes start, and deliver them afterwards.

    A signal to the whole group would end a child, or the server that it is forked from, before it can handle signals,
    and its parent would wait forever for its answer. The children keep the signals blocked until they unblock them.
    """
    resource_tracker.ensure_running()  # before Python 3.12.3 its start would let the signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(*, by_kernel: bool = True) -> None:
    """End this child process when its parent has ended for any reason.

    On Linux the kernel also kills the child: a thread alone would wait while an operator or an import holds the GIL,
    and does not run while Python shuts down.

    Args:
        by_kernel: whether the main thread of the parent started this child; for the kernel, the end of the thread
            that started it is the end of the parent.
    """
    if (parent := multiprocessing.parent_process()) is None:
        return
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    if by_kernel and sys.platform == "linux" and os.getppid() == parent.pid:  # else it has ended, or a server forked us
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def obey_parent(_: int = 0) -> None:
    """End this child on SIGTERM from its parent, although it blocks signals, and when the parent has ended.

    A parent that exits while a child waits for work terminates it and then waits for it: forever, if the child ignored
    the signal. Signals to the whole group stay blocked: the parent saves its state, and needs its children for that.
    """
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
        if hasattr(signal, "sigwaitinfo"):  # it tells the sender; macOS lacks it
            threading.Thread(target=_heed, args=(parent.pid,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(RESUMABLE)


def _heed(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
