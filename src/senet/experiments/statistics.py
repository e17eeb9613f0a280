"""Paired differences to a baseline with intervals that hold both errors: of the seeds and of the test images.

Half the width of an interval is sqrt(c^2 A + z^2 B): A is the variance of the mean over seeds with Student's or
Dunnett's c for its degrees of freedom, B what the choice of test images adds, with the normal z. It is never less than
the images alone leave open.

Source:
    Banerjee, "Simplified interval estimation for the mean and for the difference between means", Indian Society of
    Agricultural Statistics 12 (1960): such an interval covers at least as often as it says.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from senet.experiments.critical_values import critical, tail
from senet.experiments.image_spread import Images, Tally, image_error
from senet.experiments.seed_spread import Spread, spreads

__all__ = ["ALPHA", "POWER", "Difference", "accuracy_differences", "differences", "paired"]

ALPHA = 0.05
"""Probability that any interval of a study misses its difference."""

POWER = 0.8
"""Power with which a difference of the size `Difference.visible` is detected."""

ROUNDING = 1e-9
"""Differences that vary by less are equal: what is left is the rounding of floating-point numbers [points]."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean difference between a row and its baseline over the seeds that both have.

    Attributes:
        mean: row minus baseline [points]; nan without common seeds.
        n: pairs.
        spread: of one difference over seeds.
        images: what the choice of the test images adds; None for values that are not of a test set.
        comparisons: rows of the family, for which the interval is corrected.
        alpha: family-wise error rate.
        dunnett: the correction is Dunnett's; otherwise it is Bonferroni's.
        share: of all comparisons of the study in this family.
    """

    mean: float
    n: int
    spread: Spread
    images: Images | None = None
    comparisons: int = 1
    alpha: float = ALPHA
    dunnett: bool = True
    share: float = 1.0

    @property
    def half(self) -> float:
        """Half the width of the interval; nan where nothing is known about the error."""
        if self.n < 2 or not self.spread.df:
            return math.nan
        added, floor = (self.images.added, self.images.floor) if self.images else (0.0, 0.0)
        z = self._critical(math.inf)
        square = max(self._critical(self.spread.df) ** 2 * self._variance + z**2 * added, z**2 * floor)
        half = math.sqrt(square)
        return half if half > ROUNDING else math.nan  # equal differences of plain numbers: no spread is known

    @property
    def low(self) -> float:
        """Lower end of the interval; nan below two pairs."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half

    @property
    def p(self) -> float:
        """Chance of such a difference without a true one, corrected as the interval is; nan below three pairs.

        It is below `ALPHA` where the interval leaves 0 out, and only there: a level below that, of one look among
        several or of a share of the comparisons, scales it.
        """
        if self.n < 3 or math.isnan(self.half):
            return math.nan
        t, df = self._critical(self.spread.df) * self.mean / self.half, self.spread.df
        one = tail(t, self.comparisons, df) if self.dunnett else self.comparisons * tail(t, 1, df)
        return min(1.0, one * ALPHA / self.alpha)

    @property
    def visible(self) -> float:
        """Smallest true difference that is detected with power 0.8; nan without an interval."""
        from scipy.special import nctdtrinc

        if math.isnan(half := self.half):
            return math.nan
        added, floor = (self.images.added, self.images.floor) if self.images else (0.0, 0.0)
        error = math.sqrt(max(self._variance + added, floor))
        return error * float(nctdtrinc(self.spread.df, 1 - POWER, half / error))

    @property
    def decided(self) -> bool:
        """Whether the interval is on one side of zero, from three pairs on."""
        return self.n > 2 and (self.low > 0 or self.high < 0)

    @property
    def corrected(self) -> bool:
        """Whether the interval is wider for the other comparisons of the study."""
        return self.comparisons > 1 or self.share < 1

    def after(self, n: int) -> "Difference":
        """Return what `n` pairs with this mean and these spreads would give."""
        df = max(1, round(self.spread.df * (n - 1) / (self.n - 1)))
        images = self.images
        if images is not None:
            falls = (images.floor - images.lasting) * self.n / n
            images = replace(images, floor=images.lasting + falls)
        return replace(self, n=n, spread=replace(self.spread, df=df), images=images)

    @property
    def _variance(self) -> float:
        return self.spread.variance / self.n

    def _critical(self, df: float) -> float:
        if self.dunnett:
            return critical(self.comparisons, df, self.alpha)
        return critical(1, df, self.alpha / self.comparisons)


def accuracy_differences(
    rows: Sequence[Mapping[int, Tally]],
    baseline: Mapping[int, Tally],
    *,
    alpha: float = ALPHA,
    share: float = 1.0,
) -> list[Difference]:
    """Compare the accuracies of rows with those of their baseline, seed by seed and image by image.

    Args:
        rows: tests by seed.
        baseline: tests by seed.
        alpha: family-wise error rate.
        share: of the study's comparisons in this family, which gets this share of `alpha`.
    """
    images = [image_error(row, baseline) for row in rows]
    values = [{seed: one.accuracy for seed, one in row.items()} for row in (baseline, *rows)]
    return differences(values[1:], values[0], images=images, alpha=alpha, share=share)


def differences(
    rows: Sequence[Mapping[int, float]],
    baseline: Mapping[int, float],
    *,
    images: Sequence[Images | None] = (),
    alpha: float = ALPHA,
    share: float = 1.0,
) -> list[Difference]:
    """Compare rows with one baseline, seed by seed, and correct for comparing several.

    Where all have the same seeds and spread, the correction is Dunnett's, otherwise Bonferroni's; p is below `ALPHA`
    where the interval leaves 0 out, and only there.

    Args:
        rows: values by seed.
        baseline: values by seed.
        images: the error over test images of every row; empty for values that are not of a test set.
        alpha: family-wise error rate.
        share: of the study's comparisons in this family.

    Example:
        >>> differences([{0: 2.0, 1: 4.0}], {0: 1.0, 1: 2.0})[0].mean
        1.5
    """
    images = images or [None] * len(rows)
    common = [sorted(row.keys() & baseline.keys()) for row in rows]
    pairs = [[row[seed] - baseline[seed] for seed in seeds] for row, seeds in zip(rows, common, strict=True)]
    comparisons = max(1, sum(map(bool, pairs)))
    found = [
        Difference(
            mean=fmean(each) if each else math.nan,
            n=len(each),
            spread=spread,
            images=image,
            comparisons=comparisons,
            alpha=alpha * share,
            share=share,
        )
        for each, spread, image in zip(pairs, spreads(rows, baseline), images, strict=True)
    ]
    if comparisons == 1 or (len(set(map(tuple, filter(None, common)))) == 1 and all(d.spread.common for d in found)):
        return found
    return [replace(each, dunnett=False) for each in found]


def paired(row: Mapping[int, float], baseline: Mapping[int, float]) -> Difference:
    """Compare two rows of plain numbers seed by seed, by Student's t over the pairs."""
    return differences([row], baseline)[0]
