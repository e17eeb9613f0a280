"""Count the gates that are open, shut or in the middle of their range. Letters in shapes: n images, c channels."""

from dataclasses import dataclass
from math import isfinite

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from senet.nn import SqueezeExcite

__all__ = ["Range", "Saturation", "range_of", "stuck"]

OPEN, SHUT, HALF = 0.98, 0.02, 0.01  # shares of the range of the gate
STUCK = 0.01  # share of the range, or a plain number if it has no end
FAR = 1e4  # a logit at which every bounded gate has reached its end
Range = tuple[float, float | None]
"""Lower and upper end of a gate; None for a gate without an upper end."""


def range_of(block: nn.Module) -> Range:
    """Return the range of the gate of a block: measured for blocks of senet, (0, 1) for those of other libraries."""
    if not isinstance(block, SqueezeExcite):
        return 0.0, 1.0
    logits = torch.tensor([-FAR, *range(-20, 21), FAR])  # a gate may be largest in between
    with torch.no_grad():
        values = block.gate(logits.view(1, -1, 1, 1)).flatten().tolist()
    low, high = min(values), max(values)
    return low, high if isfinite(high) and high < FAR / 10 else None


@dataclass
class Saturation:
    """Counts of gates over images and channels; gates of maps that are zero everywhere are NaN and do not count.

    Attributes:
        range: the range of the gate.
        gates: number of gates.
        opened: those above 98 % of the range.
        closed: those below 2 % of the range; below 0.02 if it has no end.
        middle: those within 1 % of the middle of the range.
    """

    range: Range
    gates: int = 0
    opened: int = 0
    closed: int = 0
    middle: int = 0

    def add(self, gate: Float64[Tensor, "n c"]) -> None:
        """Add the gates of some images."""
        low, high = self.range
        own = gate[~gate.isnan()]
        at = (own - low) / (1.0 if high is None else high - low)
        self.gates += len(own)
        self.closed += int((at < SHUT).sum())
        if high is not None:
            self.opened += int((at > OPEN).sum())
            self.middle += int(((at - 0.5).abs() < HALF).sum())

    def shares(self) -> tuple[float, float, float]:
        """Return the shares that are open, shut and in the middle [1]; NaN where the range has no end."""
        number = self.gates or torch.nan
        bounded = self.range[1] is not None
        return (
            self.opened / number if bounded else torch.nan,
            self.closed / number,
            self.middle / number if bounded else torch.nan,
        )


def stuck(low: Float64[Tensor, " c"], high: Float64[Tensor, " c"], ends: Range) -> float:
    """Return the share of channels whose gate hardly moves [1].

    Args:
        low: the gate that 0.5 % of the images are below, for every channel; NaN for a channel that is always zero.
        high: the gate that 0.5 % of the images are above.
        ends: the range of the gate; a channel is stuck if it uses less than 1 % of it.
    """
    width = 1.0 if ends[1] is None else ends[1] - ends[0]
    moved = (high - low)[~(low.isnan() | high.isnan())]
    return float((moved < STUCK * width).double().mean()) if len(moved) else torch.nan
