"""How gates spread over images: quantiles, histogram, rank, and their dependence on the squeeze.

Letters in shapes: n images, c channels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from senet.surgery.gates.saturation import Range

__all__ = ["column_quantiles", "histogram", "quantiles", "squeeze_curve", "used_rank"]

BINS = 50
LOW, HIGH = 0.005, 0.995
WIDEST = 3.0  # standard deviations of the squeeze
STEPS = 24  # of the curve over the squeeze
PAIRS = 500_000  # pairs of images and channels that the curve rests on
ELEMENTS = 2**23  # of one call of `torch.nanquantile`, which allows twice as many
FEWEST = 20  # pairs of a step


def quantiles(gate: Tensor) -> tuple[Float64[Tensor, " c"], Float64[Tensor, " c"]]:
    """Return the values that 0.5 % and 99.5 % of the gates of each channel are below; NaN where there is none."""
    found = column_quantiles(gate.double(), (LOW, HIGH))
    return found[0], found[1]


def column_quantiles(values: Float64[Tensor, "n c"], shares: Sequence[float]) -> Float64[Tensor, "b c"]:
    """Return quantiles of each column without its NaN, in steps that fit torch's limit of elements."""
    at = torch.tensor(shares, dtype=torch.float64)
    step = max(1, ELEMENTS // max(1, len(values)))
    return torch.cat([torch.nanquantile(part, at, 0) for part in torch.split(values, step, 1)], 1)


def used_rank(logits: Tensor) -> float:
    """Return the effective rank of the logits: exp of the entropy of the eigenvalues of their covariance.

    0 if they are constant, 1 if all move together, and at most the width of the hidden layer before them if they are
    linear in it.

    Source:
        Roy and Vetterli, The effective rank, EUSIPCO 2007.
    """
    z = logits.double()
    z = z[z.isfinite().all(1)]
    scale = float(z.square().sum())
    z = z - z.mean(0)
    if len(z) < 2 or float(z.square().sum()) <= 1e-12 * scale:
        return 0.0
    values = torch.linalg.eigvalsh(z.T @ z if z.shape[1] <= len(z) else z @ z.T).clamp(min=0)
    share = values / values.sum()
    return float(torch.exp(-torch.special.xlogy(share, share).sum()))


def histogram(gate: Tensor, ends: Range) -> dict[str, Any]:
    """Return edges and counts of the gates of a block over its range, or between its extremes if it has no end."""
    known = gate[~gate.isnan()].double()
    low, high = ends if ends[1] is not None else (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if len(known):
        low, high = min(low, float(known.min())), max(high or 0.0, float(known.max()))
    high = high if high is not None and high > low else low + 1.0
    counts = torch.histc(known, BINS, min=low, max=high)
    return {
        "edges": torch.linspace(low, high, BINS + 1, dtype=torch.float64).tolist(),
        "counts": counts.long().tolist(),
    }


def squeeze_curve(squeeze: Tensor, gate: Tensor) -> dict[str, list[float]]:
    """Return the gate as a function of the squeeze, normalised by channel: mean and the 10 % and 90 % quantiles."""
    q, s = squeeze.double(), gate.double()
    deviation = q.std(0, correction=0)
    x = ((q - q.mean(0)) / deviation.where(deviation > 0, torch.nan)).flatten()
    s = s.flatten()
    known = x.isfinite() & s.isfinite() & (x.abs() < WIDEST)
    x, s = x[known], s[known]
    step = max(1, len(x) // PAIRS)
    x, s = x[::step], s[::step]
    place = ((x + WIDEST) / (2 * WIDEST) * STEPS).long().clamp(max=STEPS - 1)
    curve: dict[str, list[float]] = {"x": [], "mean": [], "low": [], "high": []}
    for number in range(STEPS):
        own = s[place == number]
        if len(own) >= FEWEST:
            curve["x"].append((number + 0.5) / STEPS * 2 * WIDEST - WIDEST)
            curve["mean"].append(float(own.mean()))
            curve["low"].append(float(own.quantile(0.1)))
            curve["high"].append(float(own.quantile(0.9)))
    return curve
