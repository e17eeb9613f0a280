"""Interim looks at a study: after how many seeds, and the probability of a false verdict that each may spend."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from senet.experiments.statistics import ALPHA

__all__ = ["levels", "planned_looks", "reached", "spent"]

FIRST = (3, 5, 8, 12)
GROWTH = 1.5  # from look to look beyond them: a smaller step hardly changes what is known
NODES = 301
RHO = 2.0


def planned_looks(most: int) -> tuple[int, ...]:
    """Return after how many seeds to look, up to a number of seeds.

    Example:
        >>> planned_looks(30)
        (3, 5, 8, 12, 18, 30)
    """
    looks = [n for n in FIRST if n < most]
    while looks and looks[-1] >= FIRST[-1] and looks[-1] * GROWTH < most:
        looks.append(round(looks[-1] * GROWTH))
    if len(looks) > len(FIRST) and looks[-1] * 1.2 > most:
        looks.pop()
    return (*looks, most)


def spent(part: float) -> float:
    """Return the two-sided probability of a false verdict that a part of all seeds may spend.

    Source:
        Kim and DeMets, "Design and analysis of group sequential tests based on the type I error spending rate
        function", Biometrika 74 (1987), with exponent 2.
    """
    return ALPHA * float(min(1.0, part) ** RHO)


@cache
def levels(looks: tuple[int, ...]) -> tuple[float, ...]:
    """Return the level of the interval at every look, so that all looks together miss with probability 0.05.

    The levels are those of a normal mean with known spread, used with Student's and Dunnett's distributions.

    Args:
        looks: seeds at each, ascending; the last one is the end.

    Source:
        Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70 (1983); Jennison and
        Turnbull, Group Sequential Methods (1999), chapters 7 and 19.

    Example:
        >>> [round(level, 4) for level in levels((5, 10))]
        [0.0125, 0.0436]
    """
    from scipy.special import ndtr, ndtri

    made: list[float] = []
    grid: Any = None
    before, used = 0.0, 0.0
    for look in looks:
        part, budget = look / looks[-1], spent(look / looks[-1])
        step = math.sqrt(part - before)
        first = grid is None
        bound = -float(ndtri(budget / 2)) * math.sqrt(part) if first else _bound(grid, step, budget - used)
        made.append(2 * float(ndtr(-bound / math.sqrt(part))))
        grid = _carried(grid, step, bound)
        before, used = part, budget
    return tuple(made)


def _bound(grid: tuple[Any, Any], step: float, budget: float) -> float:
    """Return the bound that a walk crosses at this look, not having crossed earlier ones, with probability `budget`."""
    from scipy.special import ndtr

    points, mass = grid
    low, high = 0.0, 12.0
    for _ in range(50):
        middle = (low + high) / 2
        crossed = float(mass @ (ndtr((points - middle) / step) + ndtr((-middle - points) / step)))
        low, high = (middle, high) if crossed > budget else (low, middle)
    return high


def _carried(grid: tuple[Any, Any] | None, step: float, bound: float) -> tuple[Any, Any]:
    """Return the density of the walk within the bound after one more step, as points with their mass."""
    import numpy as np

    points = np.linspace(-bound, bound, NODES)
    weights = np.full(NODES, points[1] - points[0])
    weights[[0, -1]] /= 2
    starts, mass = grid if grid is not None else (np.zeros(1), np.ones(1))
    steps = (points[:, None] - starts[None, :]) / step
    density = np.exp(-(steps**2) / 2) @ mass / (step * math.sqrt(2 * math.pi))
    return points, density * weights


def reached(looks: Sequence[int], seeds: int) -> float:
    """Return the level of a study with a number of seeds: that of the look that it stands at or goes towards."""
    at = next((number for number, look in enumerate(looks) if look >= seeds), len(looks) - 1)
    return levels(tuple(looks))[at]
