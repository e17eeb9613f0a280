"""The signals that ask a process to stop, and how to keep them from children that are just starting."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

__all__ = ["SIGNALS", "held"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


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
