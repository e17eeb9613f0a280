"""The first moments of a process that trains: it ends with its parent from then on, also while it imports torch."""

from multiprocessing.connection import Connection
from typing import Any

from senet.signals import end_with_parent

__all__ = ["begin"]


def begin(pipe: "Connection[Any, Any]", by_main_thread: bool) -> None:
    """Call the function that comes through a pipe in this new process.

    The function and its arguments are not arguments of the process: reading them imports torch, which takes seconds.

    Args:
        pipe: from the parent; the first message is a function and the arguments that follow the pipe.
        by_main_thread: whether the main thread of the parent starts this process.
    """
    end_with_parent(by_kernel=by_main_thread)
    function, *arguments = pipe.recv()
    function(pipe, *arguments)
