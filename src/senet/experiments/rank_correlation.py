"""Do two scores order designs alike? Rank correlations with intervals."""

import math
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
        """Say the value with its interval: `0.43 [-0.12, 0.78], n = 13`."""
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
    n = len(a)
    value = _pearson(_ranks(a), _ranks(b))
    return _interval(value, n, math.sqrt((1 + value * value / 2) / (n - 3)) if n > 4 else math.nan)


def kendall(a: Sequence[float], b: Sequence[float]) -> Correlation:
    """Count pairs in the same order against pairs in the other one, ties apart (tau-b).

    Source:
        Interval: Fisher's z with the standard error of Fieller, Hartley and Pearson, Biometrika 44 (1957).

    Example:
        >>> kendall([1, 2, 3], [3, 2, 1]).value
        -1.0
    """
    n = len(a)
    agree = untied_a = untied_b = 0
    for i in range(n):
        for j in range(i):
            x, y = _sign(a[i] - a[j]), _sign(b[i] - b[j])
            agree, untied_a, untied_b = agree + x * y, untied_a + abs(x), untied_b + abs(y)
    value = agree / math.sqrt(untied_a * untied_b) if untied_a and untied_b else math.nan
    return _interval(value, n, math.sqrt(0.437 / (n - 4)) if n > 4 else math.nan)


def _interval(value: float, n: int, error: float) -> Correlation:
    inside = abs(value) < 1 and not math.isnan(error)
    z = math.atanh(value) if inside else math.nan
    low, high = (math.tanh(z - NORMAL * error), math.tanh(z + NORMAL * error)) if inside else (math.nan, math.nan)
    return Correlation(value=value, low=low, high=high, n=n)


def _ranks(values: Sequence[float]) -> list[float]:
    """Number values from the smallest; equal ones share the mean of their numbers."""
    return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]


def _pearson(a: Sequence[float], b: Sequence[float]) -> float:
    if len(a) < 2:
        return math.nan
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    cross = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    squares = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return cross / math.sqrt(squares) if squares else math.nan


def _sign(x: float) -> int:
    return (x > 0) - (x < 0)
