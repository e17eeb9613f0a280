"""A sequential module with named children: state-dict keys are public API."""

from torch import nn

__all__ = ["chain"]


def chain(**parts: nn.Module | None) -> nn.Sequential:
    """Build a sequential module from named parts, skipping parts that are None.

    Example:
        >>> list(chain(conv1=nn.Conv2d(3, 8, 3), se=None, act1=nn.ReLU()).state_dict())
        ['conv1.weight', 'conv1.bias']
    """
    sequence = nn.Sequential()
    for name, part in parts.items():
        if part is not None:
            sequence.add_module(name, part)
    return sequence
