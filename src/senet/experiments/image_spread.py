"""What the choice of the test images adds to the error of a difference: another sample would give another one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from senet.experiments.image_bits import unpack

__all__ = ["Images", "Tally", "image_error", "paired_images", "unpaired_images"]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Correctly classified images of one test.

    Attributes:
        correct: number of them.
        total: test images.
        right: which ones, as `senet.experiments.image_bits` packs them; empty where that is not known.
        data: fingerprint of the images; only equal ones can be paired image by image.
    """

    correct: int
    total: int
    right: str = ""
    data: str = ""

    @property
    def accuracy(self) -> float:
        """Top-1 [%]."""
        return 100 * self.correct / self.total


@dataclass(frozen=True, kw_only=True)
class Images:
    """The error of a mean difference that comes from the choice of test images.

    Attributes:
        added: variance beside that of the seeds; more seeds do not lower it [points squared].
        floor: variance of the mean difference over images alone, whatever the seeds say [points squared].
        lasting: part of the floor that more seeds do not lower [points squared].
        total: test images.
        seeds: of the tests that it is computed from.
        paired: it is computed image by image; otherwise from the counts, which is a wider bound.
    """

    added: float
    floor: float
    lasting: float
    total: int
    seeds: int
    paired: bool


def image_error(row: Mapping[int, Tally], baseline: Mapping[int, Tally]) -> Images | None:
    """Compute the error of a difference over test images, from the seeds that both rows have.

    It is computed from the seeds whose tests record the images, if at least half of them and two do.

    Returns:
        None without a common seed.
    """
    seeds = sorted(row.keys() & baseline.keys())
    if not seeds:
        return None
    ours, theirs = ([tallies[seed] for seed in seeds] for tallies in (row, baseline))
    recorded = [pair for pair in zip(ours, theirs, strict=True) if all(one.right for one in pair)]
    enough = len(recorded) == len(seeds) or len(recorded) >= max(2, len(seeds) / 2)
    if enough and len({(one.data, one.total) for one in (*ours, *theirs)}) == 1:
        return paired_images(*(_unpacked(side) for side in zip(*recorded, strict=True)))
    shares = [(sum(t.correct for t in side), sum(t.total for t in side)) for side in (ours, theirs)]
    return unpaired_images(*shares, seeds=len(seeds))


def _unpacked(tallies: Sequence[Tally]) -> Any:
    """Return an array `(seeds, images)` of 0 and 1."""
    import numpy as np

    return np.stack([unpack(one.right, one.total) for one in tallies])


def paired_images(ours: Any, theirs: Any) -> Images:
    """Compute the error from the images that are classified correctly.

    With D the difference of an image and a seed (-1, 0 or 1), the variance of its mean over J seeds and N images is
    that of the seeds over J, plus that of the images over N; the part of both together is in the first already. The
    floor adds one image that only the row and one that only the baseline gets right with every seed, as Bonett and
    Price do for one pair: N images on which the two agree do not show that they agree on all images.

    Args:
        ours: 0 or 1, `(seeds, images)`.
        theirs: of the baseline.

    Source:
        Cornfield and Tukey, "Average values of mean squares in factorials", Annals of Mathematical Statistics 27
        (1956); Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
        paired data", Journal of Educational and Behavioral Statistics 37 (2012).
    """
    import numpy as np

    differences = ours.astype(np.float64) - theirs
    seeds, total = differences.shape
    means = differences.mean(axis=0)
    between = float(means.var(ddof=1)) if total > 1 else 1.0
    both = 0.0
    if seeds > 1:
        rest = differences - means - differences.mean(axis=1, keepdims=True) + means.mean()
        both = float((rest**2).sum()) / ((seeds - 1) * max(1, total - 1))
    added = max(0.0, between - both / seeds) / total
    two_more = ((means**2).sum() + 2) / (total + 2) - (means.sum() / (total + 2)) ** 2
    floor = max(between / total, float(two_more) / (total + 2))
    lasting = min(floor, added + 2 / (total + 2) ** 2)
    return Images(added=1e4 * added, floor=1e4 * floor, lasting=1e4 * lasting, total=total, seeds=seeds, paired=True)


def unpaired_images(ours: tuple[int, int], theirs: tuple[int, int], *, seeds: int) -> Images:
    """Bound the error from counts alone, as if the two networks were right on images that have nothing in common.

    Args:
        ours: correctly classified images and tested images, over all seeds.
        theirs: of the baseline.
        seeds: how many each is the sum of.

    Source:
        Agresti and Caffo, "Simple and effective confidence intervals for proportions and differences of proportions",
        The American Statistician 54 (2000): one right and one wrong answer are added to each.
    """
    floor = 0.0
    for correct, tests in (ours, theirs):
        total = tests / seeds
        share = (correct / seeds + 1) / (total + 2)
        floor += share * (1 - share) / (total + 2)
    least = round(min(ours[1], theirs[1]) / seeds)
    return Images(added=0.0, floor=1e4 * floor, lasting=1e4 * floor, total=least, seeds=seeds, paired=False)
