"""Shortcuts of residual units that change the shape of the map: zero padding (A) and projection (B).

Letters in shapes: n images, c and d channels, h, w, p and q sizes.
"""

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.models.convolution import conv
from senet.models.stages import Unit
from senet.nn import chain

__all__ = ["PREACT_SHORTCUTS", "SHORTCUTS", "PadShortcut", "Shortcut", "bare_projection", "pad", "projection"]


Shortcut = Callable[[Unit], nn.Module | None]
"""A function that builds the shortcut of a unit; returns None if the shape does not change."""


class PadShortcut(nn.Module):
    """Subsample the map and pad its channels with zeros on both sides: a shortcut without parameters.

    Source:
        He et al., arXiv:1512.03385, option A.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.low = (outputs - inputs) // 2
        self.high = outputs - inputs - self.low

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d p q"]:
        """Subsample and pad."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.low, self.high))


def pad(unit: Unit) -> nn.Module | None:
    """Build option A, zero padding; None if the shape does not change."""
    return PadShortcut(unit.inputs, unit.outputs, stride=unit.stride) if unit.changes else None


def projection(unit: Unit, *, kernel: int = 1, norm: bool = True) -> nn.Module | None:
    """Build option B, a convolution with a norm; None if the shape does not change."""
    if not unit.changes:
        return None
    layers = {"conv": conv(unit.inputs, unit.outputs, kernel, stride=unit.stride)}
    return chain(**layers, norm=nn.BatchNorm2d(unit.outputs) if norm else None)


def bare_projection(unit: Unit) -> nn.Module | None:
    """Build option B without a norm, as in pre-activation units; None if the shape does not change."""
    return projection(unit, norm=False)


SHORTCUTS: Mapping[str, Shortcut] = {"A": pad, "B": projection}
PREACT_SHORTCUTS: Mapping[str, Shortcut] = {"A": pad, "B": bare_projection}
