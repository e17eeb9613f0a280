"""A sequence of modules whose children have names: a state-dict key is public API."""

from torch import nn

__all__ = ["chain"]


def chain(**parts: nn.Module | None) -> nn.Sequential:
    """Make a sequence from named parts; a part that is None is left out.

    Example:
        >>> list(chain(conv1=nn.Conv2d(3, 8, 3), se=None, act1=nn.ReLU()).state_dict())
        ['conv1.weight', 'conv1.bias']
    """
    sequence = nn.Sequential()
    for name, part in parts.items():
        if part is not None:
            sequence.add_module(name, part)
    return sequence
