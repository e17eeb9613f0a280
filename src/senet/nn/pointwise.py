"""Pointwise layers (1x1 convolutions and linear layers), which excitations consist of, and their widths."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from senet.nn.excite import sizes as sizes_of
from senet.nn.layers import CONVS

__all__ = ["CONTAINERS", "pointwise", "widths"]

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def pointwise(layer: nn.Module) -> tuple[int, int] | None:
    """Return the input and output channels of a 1x1 layer; None if its kernel is wider or it is grouped."""
    if isinstance(layer, nn.Linear):
        return sizes_of(layer)
    assert isinstance(layer, CONVS)
    single = set(layer.kernel_size) == {1} and layer.groups == 1
    return sizes_of(layer) if single else None


def widths(layers: Sequence[nn.Module]) -> tuple[int, ...] | None:
    """Return the widths of a chain of 1x1 layers from C channels back to C; None if the layers do not form one."""
    sizes = [size for layer in layers if (size := pointwise(layer)) is not None]
    if not sizes or len(sizes) < len(layers) or sizes[0][0] != sizes[-1][1]:
        return None
    fits = all(left[1] == right[0] for left, right in pairwise(sizes))
    return (sizes[0][0], *(size[1] for size in sizes)) if fits else None
