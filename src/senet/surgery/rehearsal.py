"""Run a network without consequences: in evaluation mode, on stand-ins for its tensors, every attribute given back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

__all__ = ["rehearse", "stand_in", "unchanged"]

Enter = Callable[[nn.Module, tuple[object, ...]], None]
Leave = Callable[[nn.Module, object, object], None]


@torch.inference_mode(False)
def rehearse(
    model: nn.Module,
    x: Tensor,
    *,
    contexts: tuple[AbstractContextManager[object], ...],
    enter: Enter,
    leave: Leave,
) -> object:
    """Run a network on `x` and give what it returns.

    Parameters stay as they are or, for an `x` on torch's meta device, are replaced by tensors that have shapes and no
    data; buffers are replaced by copies, so that nothing a forward pass counts is counted.

    Args:
        model: any network; it is not changed.
        x: its input; on the meta device nothing is computed.
        contexts: entered in this order around the forward pass.
        enter: called before every module of the network.
        leave: called after every module, before the module's own hooks.
    """
    weights = {name: stand_in(parameter) if x.is_meta else parameter for name, parameter in model.named_parameters()}
    weights |= {name: stand_in(buffer) if x.is_meta else buffer.clone() for name, buffer in model.named_buffers()}
    with ExitStack() as stack:
        stack.enter_context(unchanged(model))
        for hook in (
            register_module_forward_pre_hook(enter),  # of all modules: the model's own hooks stay as they are
            register_module_forward_hook(leave),
        ):
            stack.callback(hook.remove)
        for context in contexts:
            stack.enter_context(context)
        return functional_call(model, weights, (x,))


def stand_in(tensor: Tensor) -> Tensor:
    """Give a tensor of the same shape and type without data."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta", requires_grad=tensor.requires_grad)


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode, and in the end give every attribute of its modules back as it was."""
    before = [(vars(module), dict(vars(module))) for module in model.modules()]
    try:
        for now, _ in before:
            now["training"] = False  # not `model.eval()`, which a module may override to change its weights
        yield
    finally:
        for now, then in before:
            now.clear()
            now.update(then)
