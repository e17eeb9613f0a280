"""The naming and conventions of another library as a record; one file per origin defines one."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

__all__ = ["Origin", "TheirName", "rename"]

TheirName = Callable[[str, nn.Module], str]
UNIT = re.compile(r"stage(\d+)\.unit(\d+)\.(.+)")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A library that weights come from: its tensor names, and conventions that names and shapes do not show.

    Attributes:
        their_name: maps a tensor name of senet, and its network, to the library's; raises KeyError if it has none.
        stem_kind: padding of the first max pool: `torch` (padding 1) or `caffe` (no padding, rounds up); empty
            skips the check.
        stride_in: convolution with the stride in bottlenecks without groups, `1x1` or `3x3`; empty skips the check.
            With groups it is always the 3x3.
        basic: how the library's basic units differ from those of senet; empty if they do not.
        linear: whether its blocks store linear layers `(h, C)` where senet has 1x1 convolutions `(h, C, 1, 1)`.
        biases: whether its blocks have biases.
        extras: patterns with `*` of stored tensors that do not belong to the network.
        kinds: published kinds of blocks that it has besides squeeze-and-excitation.
        checked: whether pool, stride and spec of the blocks are checked; False for the names of senet itself.
    """

    their_name: TheirName
    stem_kind: str = ""
    stride_in: str = ""
    basic: str = ""
    linear: bool = False
    biases: bool = True
    extras: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    checked: bool = True


def rename(key: str, names: Mapping[str, str], *, unit: str = "layer{stage}.{index}") -> str:
    """Translate a tensor name with a table of module names.

    Args:
        key: name in senet, e.g. `stage2.unit1.branch.conv1.weight` or `stem.conv.weight`.
        names: other module names by those of senet; inside a unit both are relative to the unit.
        unit: format of the other name of a unit, with `{stage}` and `{number}` from 1 and `{index}` from 0.

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
