"""Do two scores order designs alike? Rank correlations of scipy, with intervals."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Correlation", "kendall", "spearman"]

NORMAL = 1.959963984540054  # two-sided 95 %


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """A rank correlation.

    Attributes:
        value: from -1 to 1; nan if one of the scores is constant or there are fewer than two designs.
        low: lower end of the 95 % interval; nan below five designs.
        high: upper end.
        n: designs.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Return the value with its interval: `0.43 [-0.12, 0.78], n = 13`; or why there is none."""
        if self.value != self.value:
            return f"undefined, {'one of the scores is constant' if self.n > 1 else 'one design'}, n = {self.n}"
        interval = f" [{self.low:.2f}, {self.high:.2f}]" if self.low == self.low else ", no interval"
        return f"{self.value:.2f}{interval}, n = {self.n}"


def spearman(a: Sequence[float], b: Sequence[float]) -> Correlation:
    """Correlate the ranks of two scores of the same designs.

    Source:
        Interval: Fisher's z with the standard error of Bonett and Wright, Psychometrika 65 (2000).

    Example:
        >>> spearman([1, 2, 3], [10, 20, 30]).value
        1.0
    """
    from scipy.stats import spearmanr

    n = len(a)
    value = _statistic(spearmanr, a, b)
    return _interval(value, n, math.sqrt((1 + value * value / 2) / (n - 3)) if n > 4 else math.nan)


def kendall(a: Sequence[float], b: Sequence[float]) -> Correlation:
    """Count pairs in the same order against pairs in the other one, ties apart (tau-b).

    Source:
        Interval: Fisher's z with the standard error of Fieller, Hartley and Pearson, Biometrika 44 (1957).

    Example:
        >>> kendall([1, 2, 3], [3, 2, 1]).value
        -1.0
    """
    from scipy.stats import kendalltau

    n = len(a)
    return _interval(_statistic(kendalltau, a, b), n, math.sqrt(0.437 / (n - 4)) if n > 4 else math.nan)


def _statistic(correlate: object, a: Sequence[float], b: Sequence[float]) -> float:
    """Return what scipy computes; nan without a warning where one of the scores is constant."""
    if min(len(set(a)), len(set(b))) < 2:
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = float(correlate(a, b).statistic)  # type: ignore[operator]
    return max(-1.0, min(1.0, round(value, 15)))  # rounding must not make a correlation of more than 1


def _interval(value: float, n: int, error: float) -> Correlation:
    inside = abs(value) < 1 and not math.isnan(error)
    z = math.atanh(value) if inside else math.nan
    low, high = (math.tanh(z - NORMAL * error), math.tanh(z + NORMAL * error)) if inside else (math.nan, math.nan)
    return Correlation(value=value, low=low, high=high, n=n)
