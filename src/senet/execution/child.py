"""The first moments of a process that trains: it ends with its parent from then on, also while it imports torch."""

import pickle
from multiprocessing.connection import Connection
from typing import Any

from senet.signals import end_with_parent

__all__ = ["begin"]


def begin(packed: bytes, pipe: "Connection[Any, Any]", by_main_thread: bool) -> None:
    """Call a function with a pipe in this new process.

    Args:
        packed: pickle of the function and of its other arguments; to unpack it imports torch, which takes seconds.
        pipe: to the parent.
        by_main_thread: whether the main thread of the parent starts this process.
    """
    end_with_parent(by_kernel=by_main_thread)
    function, *arguments = pickle.loads(packed)
    function(pipe, *arguments)
