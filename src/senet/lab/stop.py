"""Being told to stop: the first signal asks, a second one insists."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from senet.errors import Interrupted
from senet.signals import SIGNALS

__all__ = ["Stop", "stoppable"]

EXIT_CODES = {signal.SIGINT: 130}
RESUMABLE = 75
ECHO = 0.5  # seconds: torchrun and batch systems tell a process and its parent, which tells the process again


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
def stoppable() -> Iterator[Stop]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a flag that the training looks at.

    A second SIGINT or SIGTERM, half a second later or more, ends the process and its children at once. Within another
    `stoppable` the flag is the outer one. In a thread that is not the main one signals cannot be caught: the flag then
    stays down.
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


def _shield() -> None:
    """Keep signals to the whole group from a forked image worker: its parent needs it for one more step."""
    if _current is not None:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=_obey_parent, daemon=True).start()


def _obey_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


os.register_at_fork(after_in_child=_shield)
