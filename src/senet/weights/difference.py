"""Where two networks differ, layer by layer and tensor by tensor."""

from collections.abc import Mapping

from torch import Tensor, nn

__all__ = ["layers_differ", "shapes_differ"]


def layers_differ(model: nn.Module, twin: nn.Module) -> str:
    """Describe where a network is not its twin, in kind or settings of a layer; empty if it is."""
    here, there = (
        {name: f"{type(m).__name__}({m.extra_repr()})" for name, m in network.named_modules()}
        for network in (model, twin)
    )
    for name in {**here, **there}:
        if here.get(name) != there.get(name):
            return f"{name or 'it'} is {here.get(name, 'nothing')} and not {there.get(name, 'nothing')}"
    return ""


def shapes_differ(tensors: Mapping[str, Tensor], model: nn.Module) -> str:
    """Describe where weights and a network differ first in names and shapes; empty if they fit."""
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    for key in (*wanted, *found):
        if found.get(key) != wanted.get(key):
            return f"{key} is {found.get(key, 'missing')} in the file and {wanted.get(key, 'absent')} in the network"
    return ""
