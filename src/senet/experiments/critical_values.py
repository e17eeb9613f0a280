"""Critical values: Student's t for one comparison with a baseline, Dunnett's distribution for several.

Computed by quadrature on `scipy.special`: `scipy.stats.dunnett` integrates by random sampling, so its digits change
from call to call, and takes seconds to import.
"""

import math
from functools import cache
from typing import Any

__all__ = ["critical", "tail"]

NODES = 48  # of the quadrature over the baseline's deviation
STEPS = 180  # over the estimated spread
STEPS_TO_ROOT = 40
ENOUGH = 1e-10  # of the logarithm of the probability


@cache
def critical(comparisons: int, df: float, alpha: float) -> float:
    """Return the value that the largest of several |t| against one baseline exceeds with probability `alpha`.

    Args:
        comparisons: designs that are compared with the baseline, each with as many values as the baseline.
        df: degrees of freedom of the estimated spread; infinite for a known one.
        alpha: two-sided probability.

    Source:
        Dunnett, "A multiple comparison procedure for comparing several treatments with a control", Journal of the
        American Statistical Association 50 (1955).

    Example:
        >>> round(critical(1, 10, 0.05), 3), round(critical(4, 10, 0.05), 3)
        (2.228, 2.89)
    """
    low, high = _student(df, alpha), _student(df, alpha / comparisons)  # of one comparison, and Bonferroni's
    if comparisons == 1:
        return low
    above, below = (math.log(tail(end, comparisons, df) / alpha) for end in (low, high))
    value = high
    for _ in range(STEPS_TO_ROOT):  # the Illinois method: a secant that keeps the root between its ends
        value = (low * below - high * above) / (below - above)
        distance = math.log(tail(value, comparisons, df) / alpha)
        if abs(distance) < ENOUGH:
            break
        if distance > 0:
            low, above, below = value, distance, below / 2
        else:
            high, below, above = value, distance, above / 2
    return value


def tail(t: float, comparisons: int, df: float) -> float:
    """Return the probability, under no difference, that the largest of several |t| exceeds `t`."""
    from scipy.special import ndtr, stdtr

    if comparisons == 1:
        return 2 * float(ndtr(-abs(t)) if math.isinf(df) else stdtr(df, -abs(t)))
    spreads, chances = _spreads(df)
    deviations, weights = _deviations()
    reach = math.sqrt(2) * abs(t) * spreads[:, None]
    inside = (ndtr(reach - deviations) - ndtr(-reach - deviations)) ** comparisons
    return max(0.0, 1 - float(chances @ inside @ weights))


def _student(df: float, alpha: float) -> float:
    from scipy.special import ndtri, stdtrit

    return float(-ndtri(alpha / 2) if math.isinf(df) else -stdtrit(df, alpha / 2))


@cache
def _deviations() -> tuple[Any, Any]:
    """Return deviations of the baseline in standard deviations, and their weights."""
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()


@cache
def _spreads(df: float) -> tuple[Any, Any]:
    """Return values of an estimated spread over the true one (chi / sqrt(df)), and their probabilities."""
    import numpy as np

    if math.isinf(df):
        return np.ones(1), np.ones(1)
    width = 1 / math.sqrt(2 * df)
    logs = np.linspace(-8 * width - 25 / df, 7 * width, STEPS)
    height = df * logs - df * np.exp(2 * logs) / 2
    chances = np.exp(height - height.max())
    return np.exp(logs), chances / chances.sum()
