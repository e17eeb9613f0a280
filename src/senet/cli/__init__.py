"""The command line. This module imports little, so that Ctrl-C is handled from the first moment."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["main"]

Handler = Callable[[int, FrameType | None], Any] | int | None
STOPPED = "senet: stopped by Ctrl-C; run the same command to start again.\n"


def main() -> None:
    """Run the command line; every error that a user can correct, and Ctrl-C, is one line and an exit code."""
    before = signal.getsignal(signal.SIGINT)
    _set(_interrupt)
    try:
        from senet.cli.commands import call

        raise SystemExit(call())
    except KeyboardInterrupt:
        os.write(2, STOPPED.encode())
        raise SystemExit(130) from None
    finally:
        _set(before)


def _set(handler: Handler) -> None:
    if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
        signal.signal(signal.SIGINT, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise `KeyboardInterrupt`; during an import, which may catch it, exit at once."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, STOPPED.encode())
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt
