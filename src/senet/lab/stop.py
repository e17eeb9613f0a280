"""Being told to stop: the first signal asks, the second insists."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from senet.errors import Interrupted

__all__ = ["Stop", "stoppable"]

EXIT_CODES = {signal.SIGINT: 130}
RESUMABLE = 75


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


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a flag that the training looks at; a second one ends the process at once.

    In a thread that is not the main one signals cannot be caught: the flag then stays down.
    """
    stop = Stop()

    def ask(number: int, _: FrameType | None) -> None:
        if stop:
            os._exit(EXIT_CODES.get(signal.Signals(number), 128 + number))
        stop.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
