"""The first difference between two networks, or between weights and a network."""

from collections.abc import Mapping

from torch import Tensor, nn

__all__ = ["layers_differ", "shapes_differ"]


def layers_differ(model: nn.Module, twin: nn.Module) -> str:
    """Describe the first layer whose class or settings differ between two networks; empty if they agree."""
    here, there = (
        {name: f"{type(m).__name__}({m.extra_repr()})" for name, m in network.named_modules()}
        for network in (model, twin)
    )
    for name in {**here, **there}:
        if here.get(name) != there.get(name):
            return f"{name or 'the network'} is {here.get(name, 'missing')}, not {there.get(name, 'missing')}"
    return ""


def shapes_differ(tensors: Mapping[str, Tensor], model: nn.Module) -> str:
    """Describe the first difference in name or shape between weights and a network; empty if they match."""
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    for key in (*wanted, *found):
        if found.get(key) != wanted.get(key):
            return f"{key} is {found.get(key, 'missing')} in the file and {wanted.get(key, 'missing')} in the network"
    return ""
