"""Attach a block to its host: a child module, a hook that applies it, a hook that loads older checkpoints.

Hooks are functions of this module with plain values, so that the network can be copied, pickled and exported as before.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from senet.errors import SpecError

__all__ = ["attach", "attached", "detach", "free_name", "insertions", "register_hook"]


def gate_output(module: nn.Module, args: object, output: Tensor, *, child: str, last: bool) -> Tensor:
    """Scale the output of a module (a forward hook)."""
    return _scale(module, output, child, last=last)


def gate_input(module: nn.Module, args: tuple[Tensor, ...], *, child: str, last: bool) -> tuple[Tensor, ...]:
    """Scale the first input of a module (a forward pre-hook)."""
    return (_scale(module, args[0], child, last=last), *args[1:])


def _scale(module: nn.Module, x: Tensor, child: str, *, last: bool) -> Tensor:
    if not hasattr(module, child):
        raise SpecError(
            f"the block {child!r} of a {type(module).__name__} is gone and its hook is not: the module was fused or "
            "replaced after the insertion; do that first and insert afterwards."
        )
    block = module.get_submodule(child)
    if not last:
        scaled: Tensor = block(x)
        return scaled
    return block(x.movedim(-1, 1)).movedim(1, -1)  # type: ignore[no-any-return]


def keep_values(block: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Load checkpoints from before the insertion: a block without any tensor in the checkpoint keeps its values.

    A checkpoint with only some of the block's tensors is an error as usual, and so is one without those of a block on
    the meta device, which has no values to keep.
    """
    own = block.state_dict(prefix=prefix, keep_vars=True)
    if own.keys().isdisjoint(state_dict) and not any(value.is_meta for value in own.values()):
        state_dict.update(own)


def free_name(host: nn.Module, side: str) -> str:
    """Return the first unused child name for a block in a host: `se`, `se2`, ..., or `se_pre` at its input."""
    stem = "se" if side == "output" else "se_pre"
    number, name = 1, stem
    while hasattr(host, name):
        number += 1
        name = f"{stem}{number}"
    return name


def attach(host: nn.Module, child: str, block: nn.Module, *, side: str, last: bool) -> None:
    """Attach a block to a module.

    Args:
        host: the module that gets the block as a child, and the hook.
        child: name of the block in the host.
        block: the block.
        side: whether the block gates the `output` of the host or its `input`.
        last: whether channels are the last axis of the map.
    """
    host.add_module(child, block)
    block.register_load_state_dict_pre_hook(keep_values)  # type: ignore[no-untyped-call]  # torch has none
    register_hook(host, child, side=side, last=last)


def register_hook(host: nn.Module, child: str, *, side: str, last: bool) -> None:
    """Register the hook with which a module applies a block that is already its child, see `attach`."""
    if side == "output":
        host.register_forward_hook(partial(gate_output, child=child, last=last))
    else:
        host.register_forward_pre_hook(partial(gate_input, child=child, last=last))


def attached(host: nn.Module) -> dict[str, int]:
    """Return the names of the blocks that `attach` added to a module, each with the key of its hook."""
    return {
        hook.keywords["child"]: key
        for hooks in (host._forward_hooks, host._forward_pre_hooks)
        for key, hook in hooks.items()
        if isinstance(hook, partial) and hook.func in (gate_output, gate_input)
    }


def insertions(hooks: Mapping[int, Callable[..., Any]]) -> list[Callable[..., Any]]:
    """Return those of a module's hooks that `attach` registered."""
    return [hook for hook in hooks.values() if isinstance(hook, partial) and hook.func in (gate_output, gate_input)]


def detach(host: nn.Module, child: str) -> None:
    """Remove a block and its hook from a module."""
    key = attached(host)[child]
    for hooks in (host._forward_hooks, host._forward_pre_hooks):
        hooks.pop(key, None)  # keys are unique in the process
    delattr(host, child)
