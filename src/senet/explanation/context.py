"""Which channels a logit depends on: regressions on squeezed channels. Letters in shapes: n images, c channels."""

from dataclasses import dataclass
from math import nan

import torch
from jaxtyping import Float64
from torch import Tensor

__all__ = ["Context", "context", "halves"]

ENOUGH = 1.5  # images of a half for each regressor
RIDGE = 1e-9  # of the largest variance: channels that never vary have no coefficient


@dataclass(frozen=True, kw_only=True)
class Context:
    """Shares of the variance of the logits that linear regressions predict for images they were not fitted on [1].

    Attributes:
        own: from the channel's own squeeze: what a channelwise kind can do.
        near3: from the channel and its two neighbours, as efficient channel attention (ECA) sees them.
        near5: from five channels.
        near9: from nine channels.
        all: from all channels; NaN with fewer than three images for each channel.
    """

    own: float = nan
    near3: float = nan
    near5: float = nan
    near9: float = nan
    all: float = nan


def context(squeeze: Tensor, logits: Tensor) -> Context:
    """Fit the logits of every channel on half of the images and test on the other half, both ways.

    Args:
        squeeze: means of the input over positions `(n, c)`.
        logits: logits of the gates `(n, c)`.

    Returns:
        Shares pooled over channels: 1 - squared errors / squared deviations. NaN if the logits are constant.
    """
    q, z = squeeze.double(), logits.double()
    known = q.isfinite().all(1) & z.isfinite().all(1)
    q, z = q[known], z[known]
    total = float((z - z.mean(0)).square().sum()) if len(z) else 0.0
    if total <= 1e-12 * float(z.square().sum()):
        return Context()
    widths = {"own": 1, "near3": 3, "near5": 5, "near9": 9}
    lost = dict.fromkeys([*widths, "all"], 0.0)
    for fit, test in halves(len(q)):
        half = _Half(q[fit], z[fit])
        for name, width in widths.items():
            if len(q[fit]) >= ENOUGH * (width + 1):
                lost[name] += half.error(q[test], z[test], half.near(width))
            else:
                lost[name] = nan
        if len(q[fit]) >= ENOUGH * (q.shape[1] + 1):
            lost["all"] += half.error(q[test], z[test], half.all())
        else:
            lost["all"] = nan
    return Context(**{name: 1 - value / total for name, value in lost.items()})


def halves(number: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the images to fit on and to test on, both ways: two random halves, since images often come in an order."""
    order = torch.randperm(number, generator=torch.Generator().manual_seed(0))
    first, second = order[: number // 2], order[number // 2 :]
    return (first, second), (second, first)


class _Half:
    """The images that the regressions are fitted on."""

    def __init__(self, q: Float64[Tensor, "n c"], z: Float64[Tensor, "n c"]) -> None:
        self.q, self.z = q.mean(0), z.mean(0)
        q, z = q - self.q, z - self.z
        self.qq, self.qz = q.T @ q, q.T @ z
        self.ridge = RIDGE * float(self.qq.diagonal().max()) + torch.finfo(torch.float64).tiny

    def all(self) -> Float64[Tensor, "c c"]:
        """Return the coefficients `(regressor, channel)` on all channels."""
        found: Tensor = torch.linalg.solve(self.qq + self.ridge * torch.eye(len(self.qq), dtype=torch.float64), self.qz)
        return found

    def near(self, width: int) -> Float64[Tensor, "c c"]:
        """Return the coefficients on the nearest channels, fewer at both ends; all others are zero."""
        channels = len(self.qq)
        at = torch.arange(channels).unsqueeze(1) + torch.arange(width) - width // 2
        inside = (at >= 0) & (at < channels)
        at = at.clamp(0, channels - 1)
        both = inside.unsqueeze(1) & inside.unsqueeze(2)
        system = torch.where(both, self.qq[at.unsqueeze(2), at.unsqueeze(1)], 0.0)
        diagonal = torch.where(inside, self.ridge, 1.0)
        right = torch.where(inside, self.qz[at, torch.arange(channels).unsqueeze(1)], 0.0)
        found = torch.linalg.solve(system + torch.diag_embed(diagonal), right)
        full = torch.zeros(channels, channels, dtype=torch.float64)
        return full.index_put_((at, torch.arange(channels).unsqueeze(1).expand_as(at)), found * inside, accumulate=True)

    def error(self, q: Tensor, z: Tensor, weight: Float64[Tensor, "c c"]) -> float:
        """Return the squared error of predictions for other images."""
        return float((z - self.z - (q - self.q) @ weight).square().sum())
