"""Shortcuts of residual units that change the shape of the map: zero padding (A) and projection (B).

Letters in shapes: n images, c and d channels, h, w, p and q sizes.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.models.convolution import conv
from senet.nn import chain

__all__ = ["PREACT_SHORTCUTS", "SHORTCUTS", "PadShortcut", "Shortcut", "bare_projection", "pad", "projection"]


@runtime_checkable
class Shortcut(Protocol):
    """A function that builds the shortcut of a unit; returns None if the shape does not change."""

    def __call__(self, inputs: int, outputs: int, *, stride: int) -> nn.Module | None:
        """Build the shortcut."""
        ...


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


def pad(inputs: int, outputs: int, *, stride: int) -> nn.Module | None:
    """Build option A, zero padding; None if the shape does not change."""
    return None if stride == 1 and inputs == outputs else PadShortcut(inputs, outputs, stride=stride)


def projection(inputs: int, outputs: int, *, stride: int, kernel: int = 1) -> nn.Module | None:
    """Build option B, a convolution with a norm; None if the shape does not change."""
    if stride == 1 and inputs == outputs:
        return None
    return chain(conv=conv(inputs, outputs, kernel, stride=stride), norm=nn.BatchNorm2d(outputs))


def bare_projection(inputs: int, outputs: int, *, stride: int) -> nn.Module | None:
    """Build option B without a norm, as in pre-activation units; None if the shape does not change."""
    return None if stride == 1 and inputs == outputs else chain(conv=conv(inputs, outputs, 1, stride=stride))


SHORTCUTS: Mapping[str, Shortcut] = {"A": pad, "B": projection}
PREACT_SHORTCUTS: Mapping[str, Shortcut] = {"A": pad, "B": bare_projection}
