"""What an inserted block adds to its host: a child, a hook that applies it, a hook that loads old checkpoints.

All of it is functions of this module and plain values, so that a network copies, pickles and exports as before.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from senet.errors import SpecError

__all__ = ["attach", "attached", "detach", "free_name", "hang", "insertions"]


def gate_output(module: nn.Module, args: object, output: Tensor, *, child: str, last: bool) -> Tensor:
    """Scale what a module gives out."""
    return _scale(module, output, child, last=last)


def gate_input(module: nn.Module, args: tuple[Tensor, ...], *, child: str, last: bool) -> tuple[Tensor, ...]:
    """Scale what a module takes in."""
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
    """Let a checkpoint from before the insertion load: a block it knows nothing of keeps its values.

    A checkpoint that has some tensors of the block and lacks others is an error as usual, and so is one that lacks a
    block on the meta device, which has no values to keep.
    """
    own = block.state_dict(prefix=prefix, keep_vars=True)
    if own.keys().isdisjoint(state_dict) and not any(value.is_meta for value in own.values()):
        state_dict.update(own)


def free_name(host: nn.Module, side: str) -> str:
    """Give the first name that is free for a block in a host: `se`, `se2`, ..., or `se_pre` at its input."""
    stem = "se" if side == "output" else "se_pre"
    number, name = 1, stem
    while hasattr(host, name):
        number += 1
        name = f"{stem}{number}"
    return name


def attach(host: nn.Module, child: str, block: nn.Module, *, side: str, last: bool) -> None:
    """Hang a block on a module.

    Args:
        host: gets the block as a child and the hook.
        child: name of the block in the host.
        block: the block.
        side: gate the `output` of the host or its `input`.
        last: whether channels are the last axis of the map.
    """
    host.add_module(child, block)
    block.register_load_state_dict_pre_hook(keep_values)  # type: ignore[no-untyped-call]  # torch has none
    hang(host, child, side=side, last=last)


def hang(host: nn.Module, child: str, *, side: str, last: bool) -> None:
    """Let a module apply a block that is its child, see `attach`."""
    if side == "output":
        host.register_forward_hook(partial(gate_output, child=child, last=last))
    else:
        host.register_forward_pre_hook(partial(gate_input, child=child, last=last))


def attached(host: nn.Module) -> dict[str, int]:
    """Return the names of the children of a module that `attach` hung there, with the key of the hook of each."""
    return {
        hook.keywords["child"]: key
        for hooks in (host._forward_hooks, host._forward_pre_hooks)
        for key, hook in hooks.items()
        if isinstance(hook, partial) and hook.func in (gate_output, gate_input)
    }


def insertions(hooks: Mapping[int, Callable[..., Any]]) -> list[Callable[..., Any]]:
    """Give those of a module's hooks that `attach` made."""
    return [hook for hook in hooks.values() if isinstance(hook, partial) and hook.func in (gate_output, gate_input)]


def detach(host: nn.Module, child: str) -> None:
    """Take a block and its hook away."""
    key = attached(host)[child]
    for hooks in (host._forward_hooks, host._forward_pre_hooks):
        hooks.pop(key, None)  # keys are unique in the process
    delattr(host, child)
