"""Being told to stop: the first signal asks, a second one insists; and children that neither miss it nor stay behind.

A training looks at a flag between two batches. Processes that start are kept from signals until they can heed them.
A child ends with its parent: what it trains is safe in its last checkpoint, which is on the disk whole or not at all.
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
ECHO = 0.5  # seconds: torchrun and batch systems tell a process and its parent, which tells the process again
PR_SET_PDEATHSIG = 1  # of `prctl` in Linux
STOPPING = b"senet: stopping: what trains is saved after its step; a second signal ends at once.\n"


@dataclass
class Stop:
    """Whether a signal has asked this process to stop, and which."""

    signal: int = 0

    def __bool__(self) -> bool:
        return self.signal != 0

    def error(self, message: str) -> Interrupted:
        """Make the error that ends the run: exit code 130 after Ctrl-C, 75 otherwise."""
        error = Interrupted(message)
        error.exit_code = EXIT_CODES.get(signal.Signals(self.signal) if self.signal else signal.SIGTERM, RESUMABLE)
        return error


_current: Stop | None = None


@contextmanager
def stoppable(*, announce: bool = False) -> Iterator[Stop]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a flag that the training looks at.

    A second SIGINT or SIGTERM, half a second later or more, ends the process and its children at once. Within another
    `stoppable` the flag is the outer one. In a thread that is not the main one signals cannot be caught: the flag then
    stays down.

    Args:
        announce: acknowledge the first signal by a line on stderr.
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
    """Hold signals back while processes start; then they come through.

    A signal to the whole group would end a child, or the server that it is forked from, before it can heed signals,
    and its parent would wait for a word that never comes. The children keep the signals blocked until they say else.
    """
    resource_tracker.ensure_running()  # before Python 3.12.3 its start would let the signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(*, by_kernel: bool = True) -> None:
    """End this child when its parent has ended, however that came.

    On Linux the kernel kills a child of this very parent: a thread alone would wait while an operator or an import
    holds Python's lock, and does not run at all while Python shuts down.

    Args:
        by_kernel: whether the main thread of the parent started this child; the kernel would take the end of another
            thread for that of the parent.
    """
    if (parent := multiprocessing.parent_process()) is None:
        return
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    if by_kernel and sys.platform == "linux" and os.getppid() == parent.pid:  # else it has ended, or a server forked us
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def obey_parent(_: int = 0) -> None:
    """Let the parent alone end this child by SIGTERM, although it holds signals back, and end it with its parent.

    A parent that leaves while a child waits for work ends it so, and then waits for it: for ever, if the child did not
    heed it. A signal to the whole group stays held back: the parent saves, and needs its children for that.
    """
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
        if hasattr(signal, "sigwaitinfo"):  # it tells who sent; macOS has none
            threading.Thread(target=_heed, args=(parent.pid,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(RESUMABLE)


def _heed(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
