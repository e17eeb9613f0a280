"""How another system names and means the tensors of a network, as data; one file for each origin fills it in."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

__all__ = ["Origin", "rename"]

UNIT = re.compile(r"stage(\d+)\.unit(\d+)\.(.+)")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One system that weights come from. What names and shapes cannot tell is stated here and checked.

    Attributes:
        their_name: from the name of our tensor, and the network it is in, to theirs; a KeyError says that they have
            none.
        stem_kind: border of the first max pool there: `torch` (padding 1) or `caffe` (no padding, rounds up); empty
            is not checked.
        stride_in: convolution of a bottleneck without groups that strides there, `1x1` or `3x3`; empty is not
            checked. With groups it is the 3x3 everywhere.
        basic: why basic units are not the same there; empty where they are.
        linear: whether their blocks hold linear maps `(h, C)` where ours hold 1x1 convolutions `(h, C, 1, 1)`.
        biases: whether their blocks have biases.
        extras: patterns with `*` of tensors that come with their weights and are no part of the network.
        checked: whether pool, stride and design of the blocks are checked at all; not for our own names.
    """

    their_name: Callable[[str, nn.Module], str]
    stem_kind: str = ""
    stride_in: str = ""
    basic: str = ""
    linear: bool = False
    biases: bool = True
    extras: tuple[str, ...] = ()
    checked: bool = True


def rename(key: str, names: Mapping[str, str], *, unit: str = "layer{stage}.{index}") -> str:
    """Give the other name of a tensor from a table of module names.

    Args:
        key: our name, `stage2.unit1.branch.conv1.weight` or `stem.conv.weight`.
        names: their name of a module by ours; inside a unit both are counted from the unit.
        unit: what they call a unit, with `{stage}` and `{number}` from 1 and `{index}` from 0.

    Raises:
        KeyError: if the module is not in the table.

    Example:
        >>> rename("stage2.unit1.branch.conv1.weight", {"branch.conv1": "conv1"})
        'layer2.0.conv1.weight'
    """
    module, _, tensor = key.rpartition(".")
    prefix = ""
    if match := UNIT.fullmatch(module):
        stage, number, module = int(match[1]), int(match[2]), match[3]
        prefix = unit.format(stage=stage, number=number, index=number - 1) + "."
    return f"{prefix}{names[module]}.{tensor}"
