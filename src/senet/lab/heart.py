"""Signs of life: a thread that says again and again which trials this process works on."""

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from senet.errors import StorageError

__all__ = ["Heart"]


class Heart:
    """Beat for every trial in `trials` while the context lasts.

    A database that is away for a while costs beats, not the training: whoever takes the trial over in the meantime
    finds its folder locked.

    Args:
        beat: records a sign of life of a trial.
        seconds: between two of them.
    """

    def __init__(self, beat: Callable[[int], None], *, seconds: float) -> None:
        self.trials: set[int] = set()
        self._beat = beat
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="senet-heart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._over.wait(self._seconds):
            for trial in tuple(self.trials):
                with suppress(StorageError):
                    self._beat(trial)
