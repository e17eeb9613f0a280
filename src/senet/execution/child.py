"""Entry point of a child process that trains; it imports no torch, so that it ends with its parent from the start."""

from multiprocessing.connection import Connection
from typing import Any

from senet.signals import end_with_parent

__all__ = ["begin"]


def begin(pipe: "Connection[Any, Any]", by_main_thread: bool) -> None:
    """Receive a function through a pipe and call it in this new process.

    The function is not an argument of the process, because unpickling it imports torch, which takes seconds.

    Args:
        pipe: from the parent; the first message is the function and its arguments after `pipe`.
        by_main_thread: whether the main thread of the parent starts this process.
    """
    end_with_parent(by_kernel=by_main_thread)
    function, *arguments = pipe.recv()
    function(pipe, *arguments)
