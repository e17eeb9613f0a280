"""Whether somebody listens to a module, so that its own forward pass must run."""

import torch
from torch import nn

__all__ = ["is_plain", "is_watched"]

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def is_plain(module: nn.Module) -> bool:
    """Say whether passing over a module's own forward pass goes unnoticed: no hooks, no forward of the instance."""
    own = module.__dict__
    return not any(own.get(name) for name in HOOKS) and "forward" not in own


def is_watched() -> bool:
    """Say whether something beside autograd follows the operations now, so that only torch's own may run.

    A tracer, a mode that intercepts operators, a transform of `torch.func`, a hook on all modules: none of them sees
    what C++ writes, or a module that is passed over.
    """
    if torch.compiler.is_compiling():  # then registered operators run (`senet.fast.operators`)
        return False
    return bool(
        torch._C._get_tracing_state()
        or nn.modules.module._has_any_global_hook()  # type: ignore[no-untyped-call]
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
    )
