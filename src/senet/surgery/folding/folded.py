"""Report of `fold`: the blocks, the curve of their removal, and the layers that took their constants."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise, takewhile
from math import sqrt
from statistics import NormalDist
from typing import Any, Literal

from senet.printed import Printed

__all__ = ["Bounds", "Folded", "FoldedBlock", "Measure", "Step", "paired_interval", "share_interval"]

Measure = Literal["accuracy", "answers", "output"]
ROUNDING = 1e-6  # relative error of outputs due to float32 alone
Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, kw_only=True)
class FoldedBlock:
    """One block, and the measured effect of replacing it by constants.

    Attributes:
        name: path of the block in the network.
        channels: channels of the map it gates.
        gate_mean: mean of its gate over images and channels [1].
        gate_sd: standard deviation of its gate over images, root mean square over channels [1].
        variation: relative error of the block's output with the best constants, root mean square over all maps, so
            that channels with large values have more weight [1].
        spatial: the part of `variation` that differs by position; 0 if one number scales the whole map [1].
        error: relative error of the network's output with a constant in this block alone [1]; None if not measured.
        params: parameters of the block [1].
        macs: multiply-adds of its layers for one image [MAC].
        map_elements: elements of the map that it pools and scales for one image [1]; it reads or writes three times
            as many.
        time_percent: rough share of the network's running time on this machine [%].
        rank: position in the order of removal, from 1; None if it cannot be replaced.
        removed: whether it is among the blocks to remove.
        where: layer that took its constants: `bn2 (before)`, `conv3 (after)`, `kept as ChannelScale`; empty if it is
            not removed. After a dry run, the layer that would take them, for every block that can be replaced.
        reason: why it is not removed, or why no layer could take its constants; else empty.
    """

    name: str
    channels: int
    gate_mean: float = float("nan")
    gate_sd: float = float("nan")
    variation: float = float("nan")
    spatial: float = float("nan")
    error: float | None = None
    params: int
    macs: int = 0
    map_elements: int = 0
    time_percent: float = float("nan")
    rank: int | None = None
    removed: bool = False
    where: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """The network with the first blocks of the order replaced, compared with the original on the same images.

    Attributes:
        blocks: number of blocks replaced so far; 0 is the original.
        name: name of the last replaced block.
        params: parameters freed so far, not reduced by those of a `ChannelScale` [1].
        correct: images classified correctly [1]; None without labels.
        changed: images with another class than the original's [1]; None if the outputs are not logits `(n, classes)`.
        worse: images classified correctly by the original only [1]; None without labels.
        better: images classified correctly by the changed network only [1]; None without labels.
        loss: the loss that is compared with the tolerance [percentage points; percent for `output`], see
            `Folded.measure`.
        low: lower end of its 95 % interval.
        high: upper end of its 95 % interval.
        error: relative error of the outputs [1]; of logits without their mean over classes.
    """

    blocks: int
    name: str
    params: int
    correct: int | None
    changed: int | None
    worse: int | None
    better: int | None
    loss: float
    low: float
    high: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits of a removal.

    Attributes:
        tolerance: largest loss [percentage points]; None for no bound.
        sure: whether the upper end of the interval is compared with it, not the measured loss.
        blocks: largest number of blocks to remove; None for no bound.
        params: number of freed parameters after which removal stops; None for no bound.
    """

    tolerance: float | None = 0.5
    sure: bool = True
    blocks: int | None = None
    params: int | None = None

    def allow(self, step: "Step", last: "Step") -> bool:
        """Return whether a step may follow the last one; always true if outputs differ by rounding only."""
        if self.blocks is not None and step.blocks > self.blocks:
            return False
        if self.params is not None and last.params >= self.params:
            return False
        loss = step.high if self.sure else step.loss
        return self.tolerance is None or loss <= self.tolerance or step.error <= ROUNDING

    def longest(self, steps: "Sequence[Step]") -> int:
        """Return how many steps from the start are allowed in a row."""
        return sum(1 for _ in takewhile(lambda pair: self.allow(pair[1], pair[0]), pairwise(steps)))


@dataclass(frozen=True, kw_only=True, repr=False)
class Folded(Printed):
    """The report of `fold`.

    Attributes:
        blocks: all blocks found, in the order of the network.
        steps: the curve, starting with the original; it ends where the tolerance or the budget was reached, or with
            the last block in a dry run.
        chosen: number of removed blocks; `steps[chosen]` is the changed network.
        measure: meaning of `loss`. `accuracy`: top-1 accuracy lost [percentage points], with a paired interval (Bonett
            and Price). `answers`: images whose class changed [percent of images], with Wilson's interval; never less
            than the accuracy lost. `output`: relative error of the outputs [percent], normal interval over images.
        statistics_images: images on which constants and order were measured [1].
        test_images: images on which the steps were measured [1].
        separate: whether the two sets of images are disjoint.
        bounds: tolerance and budget, as given.
        rounding: largest relative difference between folded and constant-gated network, measured on one image [1].
        dry_run: whether the network was left unchanged.
        notes: warnings and remarks, one sentence each.
    """

    blocks: tuple[FoldedBlock, ...]
    steps: tuple[Step, ...] = ()
    chosen: int = 0
    measure: Measure = "output"
    statistics_images: int = 0
    test_images: int = 0
    separate: bool = False
    bounds: Bounds = Bounds()
    rounding: float = 0.0
    dry_run: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def removed(self) -> tuple[str, ...]:
        """Names of the blocks to remove, in the order of the network."""
        return tuple(block.name for block in self.blocks if block.removed)

    @property
    def scaled(self) -> tuple[str, ...]:
        """Names of the removed blocks that were replaced by a `ChannelScale`."""
        return tuple(block.name for block in self.blocks if block.removed and block.where.startswith("kept"))

    @property
    def params_freed(self) -> int:
        """Parameters removed, less those of each `ChannelScale` [1]."""
        return sum(block.params for block in self.blocks if block.removed) - self.scale_params

    @property
    def scale_params(self) -> int:
        """Parameters of the `ChannelScale` modules [1]."""
        return sum(block.channels for block in self.blocks if block.name in self.scaled)

    @property
    def order(self) -> tuple[FoldedBlock, ...]:
        """The blocks that can be replaced, in the order of removal."""
        ranked = [(block.rank, block) for block in self.blocks if block.rank is not None]
        return tuple(block for _, block in sorted(ranked, key=lambda pair: pair[0]))

    def __str__(self) -> str:
        """Return a summary: removed blocks, loss and notes, one fact for each line."""
        step = self.steps[self.chosen] if self.steps else None
        verb = "could be removed" if self.dry_run else "removed"
        cost = "" if step is None else f"; {self.measure}: {step.loss:+.2f} [{step.low:+.2f}, {step.high:+.2f}] lost"
        lines = [
            f"{self.chosen} of {len(self.blocks)} blocks {verb}, {self.params_freed:,} parameters freed{cost}",
            *(f"  {block.name} -> {block.where or 'would go'}" for block in self.blocks if block.removed),
            *(f"- {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    def as_dict(self) -> Mapping[str, Any]:
        """Return the report as values that JSON can represent."""
        return {
            **asdict(self),
            "removed": self.removed,
            "scaled": self.scaled,
            "params_freed": self.params_freed,
        }


def paired_interval(worse: int, better: int, total: int) -> tuple[float, float, float]:
    """Return the accuracy lost between two networks on the same images, and its 95 % interval.

    One image is added to each kind of disagreement, so that the interval is valid without disagreements too.

    Args:
        worse: images that only the first network classifies correctly.
        better: images that only the second network classifies correctly.
        total: number of images.

    Returns:
        Loss, lower and upper end [percentage points].

    Source:
        Bonett and Price, Journal of Educational and Behavioral Statistics 37 (2012): adjusted Wald for paired shares.
    """
    p, q, n = (worse + 1) / (total + 2), (better + 1) / (total + 2), total + 2
    half = Z * sqrt((p + q - (p - q) ** 2) / n)
    return 100 * (worse - better) / total, 100 * max(-1.0, p - q - half), 100 * min(1.0, p - q + half)


def share_interval(count: int, total: int) -> tuple[float, float, float]:
    """Return a share and its 95 % interval [percent].

    Source:
        Wilson, Journal of the American Statistical Association 22 (1927).
    """
    share, square = count / total, Z * Z / total
    centre = (share + square / 2) / (1 + square)
    half = sqrt(share * (1 - share) * square + square * square / 4) / (1 + square)
    return 100 * share, 100 * max(0.0, centre - half), 100 * (centre + half)
