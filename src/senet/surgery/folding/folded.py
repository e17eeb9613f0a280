"""What `fold` reports: the blocks, the curve of their removal, and where their constants went."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise, takewhile
from math import sqrt
from statistics import NormalDist
from typing import Any, Literal

from senet.printed import Printed

__all__ = ["Bounds", "Folded", "FoldedBlock", "Measure", "Step", "paired_interval", "share_interval"]

Measure = Literal["accuracy", "answers", "output"]
ROUNDING = 1e-6  # relative error of outputs that float32 makes by itself
Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, kw_only=True)
class FoldedBlock:
    """One block and what a constant in its place does.

    Attributes:
        name: path of the block in the network.
        channels: channels of the map it gates.
        gate_mean: mean of its gate over images and channels [1].
        gate_sd: standard deviation of its gate over images, root mean square over channels [1].
        variation: what the nearest constant loses: relative error of the block's output, root mean square over all
            maps, so that strong channels count for more [1].
        spatial: the part of it that differs by position; 0 where one number scales the whole map [1].
        error: relative error of the network's output with a constant in this block alone [1]; None if not measured.
        params: parameters of the block [1].
        macs: multiply-adds of its layers for one image [MAC].
        map_elements: elements of the map that it pools and scales for one image [1]: its traffic is three times this.
        time_percent: share of the network's time that is spent in it, roughly, here and now [%].
        rank: place in the order of removal, from 1; None if it cannot be replaced.
        removed: whether it is among the blocks to remove.
        where: where its constants went: `bn2 (before)`, `conv3 (after)`, `kept as ChannelScale`; empty if it stays.
            After a dry run where they would go, for every block that can be replaced.
        reason: why it stays, or why no layer could take its constants; empty if there is nothing to say.
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
    """The network with the first blocks of the order replaced, against the original on the same images.

    Attributes:
        blocks: blocks replaced so far; 0 is the original.
        name: the last one of them.
        params: parameters freed so far, before any that a `ChannelScale` keeps [1].
        correct: images answered right; None without labels.
        changed: images whose answer is not the original's; None where outputs are no logits `(n, classes)`.
        worse: images that were right and are wrong now; None without labels.
        better: images that were wrong and are right now; None without labels.
        loss: what is compared with the tolerance [percentage points; percent for `output`], see `Folded.measure`.
        low: lower end of its 95 % interval.
        high: upper end.
        error: relative error of the outputs [1]; of logits without what all classes share.
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
    """How far a removal may go.

    Attributes:
        tolerance: largest loss [percentage points]; None for no bound.
        sure: hold the upper end of the interval against it, not the loss as measured.
        blocks: most blocks to remove; None for no bound.
        params: parameters after which it is enough; None for no bound.
    """

    tolerance: float | None = 0.5
    sure: bool = True
    blocks: int | None = None
    params: int | None = None

    def allow(self, step: "Step", last: "Step") -> bool:
        """Return whether a step may follow the last one; outputs that only round differently always may."""
        if self.blocks is not None and step.blocks > self.blocks:
            return False
        if self.params is not None and last.params >= self.params:
            return False
        loss = step.high if self.sure else step.loss
        return self.tolerance is None or loss <= self.tolerance or step.error <= ROUNDING

    def longest(self, steps: "Sequence[Step]") -> int:
        """Count the steps from the start that are allowed without a gap."""
        return sum(1 for _ in takewhile(lambda pair: self.allow(pair[1], pair[0]), pairwise(steps)))


@dataclass(frozen=True, kw_only=True, repr=False)
class Folded(Printed):
    """The report of `fold`.

    Attributes:
        blocks: all blocks found, in the order of the network.
        steps: the curve, from the original on; it ends where the tolerance or the budget stopped it, and goes to the
            last block in a dry run.
        chosen: blocks removed: the step `steps[chosen]` is the network now.
        measure: what `loss` is. `accuracy`: top-1 accuracy lost [percentage points], its interval paired (Bonett and
            Price). `answers`: images whose answer changed [percent of them], Wilson's interval; never less than
            the accuracy lost. `output`: relative error of the outputs [percent], a normal interval over batches.
        statistics_images: images that the constants and the order come from.
        test_images: images that the steps are measured on.
        separate: whether none of these is among those.
        bounds: tolerance and budget, as given.
        rounding: largest relative difference between folded and constant-gated network, seen on one image [1].
        dry_run: whether the network was left as it was.
        notes: what a reader should know, one sentence each.
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
        """Names of those of them that left a `ChannelScale`."""
        return tuple(block.name for block in self.blocks if block.removed and block.where.startswith("kept"))

    @property
    def params_freed(self) -> int:
        """Parameters that went, less those that a `ChannelScale` keeps [1]."""
        kept = sum(block.channels for block in self.blocks if block.name in self.scaled)
        return sum(block.params for block in self.blocks if block.removed) - kept

    @property
    def order(self) -> tuple[FoldedBlock, ...]:
        """The blocks that can be replaced, in the order of removal."""
        ranked = [(block.rank, block) for block in self.blocks if block.rank is not None]
        return tuple(block for _, block in sorted(ranked, key=lambda pair: pair[0]))

    def __str__(self) -> str:
        """Describe what went, what it cost, and what a reader should know; one fact a line."""
        step = self.steps[self.chosen] if self.steps else None
        verb = "could go" if self.dry_run else "went"
        cost = "" if step is None else f"; {self.measure}: {step.loss:+.2f} [{step.low:+.2f}, {step.high:+.2f}] lost"
        lines = [
            f"{self.chosen} of {len(self.blocks)} blocks {verb}, {self.params_freed:,} parameters freed{cost}",
            *(f"  {block.name} -> {block.where or 'would go'}" for block in self.blocks if block.removed),
            *(f"- {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    def as_dict(self) -> Mapping[str, Any]:
        """Give the values as JSON has them."""
        return {
            **asdict(self),
            "removed": self.removed,
            "scaled": self.scaled,
            "params_freed": self.params_freed,
        }


def paired_interval(worse: int, better: int, total: int) -> tuple[float, float, float]:
    """Give the accuracy lost between two networks on the same images, and its 95 % interval.

    One image is added to each kind of disagreement, so that the interval is sound without any too.

    Args:
        worse: images that only the first network has right.
        better: images that only the second one has right.
        total: all images.

    Returns:
        Loss, lower and upper end [percentage points].

    Source:
        Bonett and Price, Journal of Educational and Behavioral Statistics 37 (2012): adjusted Wald for paired shares.
    """
    p, q, n = (worse + 1) / (total + 2), (better + 1) / (total + 2), total + 2
    half = Z * sqrt((p + q - (p - q) ** 2) / n)
    return 100 * (worse - better) / total, 100 * max(-1.0, p - q - half), 100 * min(1.0, p - q + half)


def share_interval(count: int, total: int) -> tuple[float, float, float]:
    """Give a share and its 95 % interval [percent].

    Source:
        Wilson, Journal of the American Statistical Association 22 (1927).
    """
    share, square = count / total, Z * Z / total
    centre = (share + square / 2) / (1 + square)
    half = sqrt(share * (1 - share) * square + square * square / 4) / (1 + square)
    return 100 * share, 100 * max(0.0, centre - half), 100 * (centre + half)
