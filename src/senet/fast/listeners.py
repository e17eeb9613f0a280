"""Detection of hooks, tracers and other observers, which require that a module's own forward pass runs."""

import threading
from typing import NamedTuple

import torch
from torch import nn

from senet.torch_internals import is_intercepted

__all__ = ["QUIET", "Modes", "is_followed", "is_plain", "is_watched", "modes"]


class Modes(NamedTuple):
    """The torch settings that the C++ kernels depend on: number of threads, and whether gradients are enabled."""

    threads: int
    grad: bool


class _Quiet(threading.local):
    modes: Modes | None = None


QUIET = _Quiet()  # modes of the network that runs now in this thread, cached for its parts


def is_plain(module: nn.Module) -> bool:
    """Return whether a module's forward pass may be bypassed: it has no hooks and no `forward` set on the instance."""
    own = module.__dict__
    get = own.get  # no loop: between two convolutions, every line of Python costs microseconds
    hooks = get("_forward_hooks") or get("_forward_pre_hooks") or get("_backward_hooks") or get("_backward_pre_hooks")
    return not hooks and "forward" not in own


def modes() -> Modes | None:
    """Return the current modes of torch; None if something observes the operations (`is_watched`)."""
    return None if is_watched() else Modes(torch.get_num_threads(), torch.is_grad_enabled())


def is_followed() -> bool:
    """Return `is_watched`, skipping the check inside a network that has already done it."""
    return QUIET.modes is None and is_watched()


def is_watched() -> bool:
    """Return whether something besides autograd observes the operations, so that only torch's own may run.

    This includes tracers, dispatch modes, transforms of `torch.func` and global module hooks: they cannot observe C++
    kernels or bypassed modules.
    """
    if torch.compiler.is_compiling():  # registered operators run then (`senet.fast.kernels.operators`)
        return False
    return is_intercepted()
