"""Whether somebody listens to a module, so that its own forward pass must run."""

import threading
from typing import NamedTuple

import torch
from torch import nn

__all__ = ["QUIET", "Modes", "is_followed", "is_plain", "is_watched", "modes"]


class Modes(NamedTuple):
    """What of torch matters to C++: the number of threads, and whether gradients are on."""

    threads: int
    grad: bool


class _Quiet(threading.local):
    modes: Modes | None = None


QUIET = _Quiet()  # `modes` of the network that runs now in this thread: its parts need not ask again


def is_plain(module: nn.Module) -> bool:
    """Say whether passing over a module's own forward pass goes unnoticed: no hooks, no forward of the instance."""
    own = module.__dict__
    get = own.get  # no loop: between two convolutions every line of Python costs microseconds
    hooks = get("_forward_hooks") or get("_forward_pre_hooks") or get("_backward_hooks") or get("_backward_pre_hooks")
    return not hooks and "forward" not in own


def modes() -> Modes | None:
    """Give the modes of torch; None if something follows the operations now (`is_watched`)."""
    return None if is_watched() else Modes(torch.get_num_threads(), torch.is_grad_enabled())


def is_followed() -> bool:
    """Say `is_watched`, without asking again in a part of a network that has found nobody."""
    return QUIET.modes is None and is_watched()


def is_watched() -> bool:
    """Say whether something beside autograd follows the operations now, so that only torch's own may run.

    A tracer, a mode that intercepts operators, a transform of `torch.func`, a hook on all modules: none of them sees
    what C++ writes, or a module that is passed over.
    """
    if torch.compiler.is_compiling():  # then registered operators run (`senet.fast.kernels.operators`)
        return False
    return bool(
        torch._C._get_tracing_state()
        or nn.modules.module._has_any_global_hook()  # type: ignore[no-untyped-call]
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
    )
