"""What a gate tells of the class: mutual information and selectivity.

Letters in shapes: n images, c channels, k classes, b bins.
"""

from collections.abc import Sequence
from math import log

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from senet.explanation.spread import column_quantiles

__all__ = ["BINS", "information", "information_by_chance", "quantile_bins", "selectivity"]

BINS = 16
SHUFFLES = 8
CELLS = 2**22  # cells of the tables of one step


def information(gate: Tensor, rows: Int64[Tensor, " n"]) -> Float64[Tensor, " c"]:
    """Return the mutual information of the class and the gate of every channel [bits].

    The gate is cut into 16 bins with as many images each. The estimate is corrected for its bias, which suffices for
    many images of each class and bin; see `information_by_chance` for fewer.

    Args:
        gate: gates of images `(n, c)`; NaN where there is none.
        rows: class of each image, from 0.

    Source:
        Miller, Information Theory in Psychology (1955); Madow: the bias of an entropy is (cells - 1) / 2n nats.
    """
    return _estimates(gate, [rows])[0]


def information_by_chance(gate: Tensor, rows: Int64[Tensor, " n"]) -> Float64[Tensor, " c"]:
    """Return the mean estimate of `information` for every channel over permutations of the labels [bits].

    With few images for each cell of the table the correction of the bias is too small: 2 images of each of 1,000
    classes give 2.7 bits where there are none.
    """
    random = torch.Generator().manual_seed(0)
    shuffled = [rows[torch.randperm(len(rows), generator=random)] for _ in range(SHUFFLES)]
    return _estimates(gate, shuffled).mean(0)


def _estimates(gate: Tensor, labels: Sequence[Int64[Tensor, " n"]]) -> Float64[Tensor, "l c"]:
    """Return the information of every channel for each labelling; the bins do not depend on it."""
    classes = int(labels[0].max()) + 1
    step = max(1, CELLS // (classes * (BINS + 1)))
    parts = []
    for part in torch.split(gate.double(), step, 1):
        bins = quantile_bins(part)
        parts.append(torch.stack([_information(bins, rows, classes) for rows in labels]))
    return torch.cat(parts, 1)


def _information(bins: Int64[Tensor, "n c"], rows: Int64[Tensor, " n"], classes: int) -> Float64[Tensor, " c"]:
    channels = bins.shape[1]
    cell = (torch.arange(channels) * classes + rows.unsqueeze(1)) * (BINS + 1) + bins
    table = torch.bincount(cell.flatten(), minlength=channels * classes * (BINS + 1)).double()
    joint = table.view(channels, classes, BINS + 1)[:, :, :BINS]  # the last bin holds missing gates
    number = joint.sum((1, 2)).clamp(min=1)
    parts = [_entropy(part, number) for part in (joint.sum(2), joint.sum(1), joint.flatten(1))]
    return (parts[0] + parts[1] - parts[2]) / log(2)


def _entropy(counts: Float64[Tensor, "c m"], number: Float64[Tensor, " c"]) -> Float64[Tensor, " c"]:
    """Return the corrected entropy of counts [nats]."""
    share = counts / number.unsqueeze(1)
    plain: Tensor = -torch.special.xlogy(share, share).sum(1)
    return plain + ((counts > 0).sum(1) - 1).clamp(min=0) / (2 * number)


def quantile_bins(gate: Float64[Tensor, "n c"], *, bins: int = BINS) -> Int64[Tensor, "n c"]:
    """Return the bin of every gate among the quantiles of its channel; equal gates share a bin, NaN has the last one.

    A channel whose gates are all equal has one bin.
    """
    edges = column_quantiles(gate, [number / bins for number in range(1, bins)]).T.nan_to_num(nan=0.0).contiguous()
    found: Tensor = torch.searchsorted(edges, gate.T.contiguous(), right=True).T
    return torch.where(gate.isnan(), bins, found)


def selectivity(mean: Float64[Tensor, "k c"]) -> Float64[Tensor, " c"]:
    """Return `(u_max - u_rest) / (u_max + u_rest)` of every channel, from the means of the classes.

    `u_max` is the largest mean, `u_rest` the mean of those of the other classes. 0: equal for all classes; 1: zero for
    all but one. NaN with fewer than two classes, or where both are zero.

    Args:
        mean: means of values that are not negative; NaN where a class has none.

    Source:
        Morcos et al., arXiv:1803.06959.
    """
    known = ~mean.isnan()
    number = known.sum(0)
    top = mean.nan_to_num(nan=-torch.inf).amax(0) if len(mean) else torch.full(mean.shape[1:], torch.nan)
    rest = (mean.nansum(0) - top) / (number - 1)
    found = (top - rest) / (top + rest)
    return torch.where((number > 1) & (top + rest > 0), found, torch.nan)
