"""Remove inserted blocks: the exact inverse of `insert`."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.optim import Optimizer

from senet.calls import by_name
from senet.errors import SpecError
from senet.surgery.insertion.hooks import attached, detach
from senet.surgery.insertion.optimizer import forget
from senet.surgery.insertion.refuse import refuse_wrapped, see_changes
from senet.surgery.insertion.watch import forget as watch_no_more
from senet.surgery.insertion.watch import repair

__all__ = ["remove"]


@by_name
def remove(
    model: nn.Module, names: str | Sequence[str] | None = None, *, optimizer: Optimizer | None = None
) -> tuple[str, ...]:
    """Remove blocks that `insert` added to a network, and their hooks, which restores its keys, modules and hooks.

    Blocks that a network was built with are part of it and are kept.

    Args:
        model: the network, changed in place.
        names: names of blocks or patterns of them; None stands for all.
        optimizer: optimizer of the network; the blocks' parameters and their state are removed from it.

    Returns:
        The names of the removed blocks.

    Raises:
        SpecError: if a name matches no inserted block, or the network is wrapped or compiled.

    Example:
        >>> model = create_model("resnet8")
        >>> keys = list(model.state_dict())
        >>> names = senet.insert(model, SESpec(reduction=4)).names
        >>> sorted(remove(model)) == sorted(names), list(model.state_dict()) == keys
        (True, True)
    """
    refuse_wrapped(model)
    repair(model)
    inserted = [
        (f"{name}.{child}" if name else child, module, child)
        for name, module in model.named_modules()
        for child in attached(module)
    ]
    patterns = ["*"] if names is None else [names] if isinstance(names, str) else list(names)
    for pattern in patterns:
        if names is not None and not any(fnmatchcase(name, pattern) for name, _, _ in inserted):
            some = ", ".join(name for name, _, _ in inserted[:3]) or "none"
            raise SpecError(
                f"names = {pattern!r} matches no inserted block; blocks that can be removed: {some}"
                f"{', ...' if len(inserted) > 3 else ''}."
            )
    gone = [one for one in inserted if any(fnmatchcase(one[0], pattern) for pattern in patterns)]
    for _, host, child in gone:
        if optimizer is not None:
            forget(optimizer, host.get_submodule(child))
        detach(host, child)
    removed = tuple(name for name, _, _ in gone)
    watch_no_more(model, removed)
    see_changes()
    return removed
