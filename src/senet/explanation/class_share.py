"""The share of the variance of gates that the class explains. Letters in shapes: n images, c channels, k classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from senet.explanation.class_sums import Moments

__all__ = ["GROUPS", "PERMUTATIONS", "Share", "interval", "jackknife", "p_value", "share_by_channel", "share_of"]

PERMUTATIONS = 200
GROUPS = 20  # groups of images that the interval leaves out in turn
CONSTANT = 1e-6  # standard deviation relative to the mean up to which a gate is constant but for rounding
Z = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """The share of the variance of gates that the class explains.

    Attributes:
        value: `(SSB - (K-1) MSW) / SST`, each summed over channels: 0 on average if the class explains nothing.
        eta2: `SSB / SST`, which is positive by chance.
        chance: what `eta2` is on average if the class explains nothing.
    """

    value: float
    eta2: float
    chance: float


def share_of(sums: Moments) -> Share:
    """Return the share of a block from its sums by class; 0 if its gates are constant, NaN without two images a class.

    Source:
        The variance components of a one-way analysis of variance; `eta2` is Fisher's correlation ratio, its correction
        that of Kelley, PNAS 21 (1935).
    """
    between, _, total, chance = _parts(sums)
    if not bool(total.any()):
        return Share(0.0 if len(total) and int(sums.number.max()) > 1 else nan, nan, nan)
    whole = float(total.sum())
    return Share(
        float((between - chance).sum()) / whole,
        float(between.sum()) / whole,
        float((total * _expected(sums)).sum()) / whole,
    )


def share_by_channel(sums: Moments) -> Float64[Tensor, " c"]:
    """Return the share of every channel by itself; NaN where it cannot be computed."""
    between, _, total, chance = _parts(sums)
    return (between - chance) / total.where(total > 0, torch.nan)


def _parts(sums: Moments) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return SSB, SSW, SST and the chance level (K-1) MSW of every channel, 0 where the gate is constant."""
    assert sums.shift is not None
    number, first = sums.number, sums.first
    count = number.sum(0)
    within = (sums.second - first.square() / number.clamp(min=1)).clamp(min=0).sum(0)
    total = (sums.second.sum(0) - first.sum(0).square() / count.clamp(min=1)).clamp(min=0)
    mean = sums.shift[0] + first.sum(0) / count.clamp(min=1)
    classes = (number > 0).sum(0)
    free = count - classes
    counts = (classes > 1) & (free > 0) & (total > count * (CONSTANT * mean.abs().clamp(min=1e-3)).square())
    zero = torch.zeros_like(total)
    chance = torch.where(counts, (classes - 1) * within / free.clamp(min=1), zero)
    return (
        torch.where(counts, total - within, zero),
        torch.where(counts, within, zero),
        torch.where(counts, total, zero),
        chance,
    )


def _expected(sums: Moments) -> Float64[Tensor, " c"]:
    return ((sums.number > 0).sum(0) - 1) / (sums.number.sum(0) - 1).clamp(min=1)


class _Grouped:
    """Gates and classes for repeated computations of the share; missing gates take the mean of their channel."""

    def __init__(self, gate: Tensor, rows: Int64[Tensor, " n"]) -> None:
        wide = gate.double()
        mean = wide.nanmean(0).nan_to_num(nan=0.0)
        self.gate = torch.where(wide.isnan(), mean.expand_as(wide), wide) - mean
        self.square = self.gate.square().sum(0)
        self.gate = self.gate[:, self.square > len(wide) * (CONSTANT * mean.abs().clamp(min=1e-3)).square()]
        self.rows = rows
        self.count = torch.bincount(rows).double()

    def first(self, rows: Int64[Tensor, " n"], gate: Tensor) -> Float64[Tensor, "k c"]:
        return torch.zeros(len(self.count), gate.shape[1], dtype=torch.float64).index_add_(0, rows, gate)


def p_value(gate: Tensor, rows: Int64[Tensor, " n"], *, permutations: int = PERMUTATIONS) -> float:
    """Return the share of permutations of the labels with at least the class share of the true labels.

    Args:
        gate: gates of images `(n, c)`, NaN where there is none.
        rows: class of each image, from 0.
        permutations: their number; the true labels count as one more, so that p is never 0.

    Source:
        Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9 (2010).
    """
    data = _Grouped(gate, rows)
    if not data.gate.shape[1]:
        return 1.0
    random = torch.Generator().manual_seed(0)
    weight = 1 / data.count.clamp(min=1).unsqueeze(1)

    def between(labels: Tensor) -> float:  # the share rises with it, since the sum of squares stays
        return float((data.first(labels, data.gate).square() * weight).sum())

    true = between(rows)
    least = true * (1 - 1e-12)
    above = sum(between(rows[torch.randperm(len(rows), generator=random)]) >= least for _ in range(permutations))
    return (above + 1) / (permutations + 1)


def jackknife(gate: Tensor, rows: Int64[Tensor, " n"], *, groups: int = GROUPS) -> Float64[Tensor, " g"]:
    """Return the class share with each group of images left out in turn; empty with fewer than two images of a class.

    Images of a class are dealt to the groups in turn.

    Args:
        gate: gates of images `(n, c)`, NaN where there is none.
        rows: class of each image, from 0.
        groups: number of groups.
    """
    data = _Grouped(gate, rows)
    groups = min(groups, int(data.count.max()) if len(data.count) else 0)
    if groups < 2 or not data.gate.shape[1] or int((data.count > 0).sum()) < 2:
        return torch.zeros(0, dtype=torch.float64)
    place = torch.empty_like(rows)
    for row in torch.unique(rows).tolist():
        members = (rows == row).nonzero().flatten()
        place[members] = torch.arange(len(members)) % groups
    whole, square = data.first(rows, data.gate), data.gate.square().sum(0)
    shares = []
    for group in range(groups):
        gone = place == group
        own = data.gate[gone]
        count = data.count - torch.bincount(rows[gone], minlength=len(data.count))
        first = whole - data.first(rows[gone], own)
        shares.append(_share(count, first, square - own.square().sum(0)))
    return torch.tensor(shares, dtype=torch.float64)


def _share(count: Tensor, first: Tensor, square: Tensor) -> float:
    number, classes = float(count.sum()), int((count > 0).sum())
    if number <= classes:
        return nan
    total = float((square - first.sum(0).square() / number).sum())
    within = float((square - (first.square() / count.clamp(min=1).unsqueeze(1)).sum(0)).sum())
    return (total - within - (classes - 1) * within / (number - classes)) / total if total else nan


def interval(value: float, left_out: Sequence[float] | Tensor) -> tuple[float, float] | None:
    """Return the 95 % interval of a value from its values with each group left out; None if there are too few.

    Source:
        The delete-a-group jackknife, Kott, Journal of Official Statistics 17 (2001).
    """
    values = torch.as_tensor(left_out, dtype=torch.float64)
    if len(values) < 2 or not bool(values.isfinite().all()):
        return None
    groups = len(values)
    error = sqrt((groups - 1) / groups * float((values - values.mean()).square().sum()))
    return value - Z * error, value + Z * error
