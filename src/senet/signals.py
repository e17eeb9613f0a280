"""The signals that ask a process to stop, and how to keep them from children that are just starting."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

__all__ = ["SIGNALS", "end_with_parent", "held"]

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


def end_with_parent(_: int = 0) -> None:
    """Let the parent of this process, and nobody else, end it by SIGTERM, although it holds signals back.

    A parent that leaves while a child waits for work ends it so, and then waits for it: for ever, if the child did not
    heed it. A signal to the whole group stays held back: the parent saves, and needs its children for that.
    """
    if hasattr(signal, "sigwaitinfo"):  # it tells who sent; macOS has none
        threading.Thread(target=_heed, args=(os.getppid(),), daemon=True).start()


def _heed(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
