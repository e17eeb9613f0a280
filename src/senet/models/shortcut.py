"""Shortcuts: what brings the input of a residual unit to the shape of its output, where that changes.

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
    """What makes the shortcut of one unit; None where the shape stays."""

    def __call__(self, inputs: int, outputs: int, *, stride: int) -> nn.Module | None:
        """Make the shortcut."""
        ...


class PadShortcut(nn.Module):
    """Take every second pixel and pad the channels with zeros on both sides: a shortcut without parameters.

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
    """Make option A; None where the shape stays."""
    return None if stride == 1 and inputs == outputs else PadShortcut(inputs, outputs, stride=stride)


def projection(inputs: int, outputs: int, *, stride: int, kernel: int = 1) -> nn.Module | None:
    """Make option B, a convolution with its norm; None where the shape stays."""
    if stride == 1 and inputs == outputs:
        return None
    return chain(conv=conv(inputs, outputs, kernel, stride=stride), norm=nn.BatchNorm2d(outputs))


def bare_projection(inputs: int, outputs: int, *, stride: int) -> nn.Module | None:
    """Make option B without a norm, as pre-activation units have it; None where the shape stays."""
    return None if stride == 1 and inputs == outputs else chain(conv=conv(inputs, outputs, 1, stride=stride))


SHORTCUTS: Mapping[str, Shortcut] = {"A": pad, "B": projection}
PREACT_SHORTCUTS: Mapping[str, Shortcut] = {"A": pad, "B": bare_projection}
