"""Check whether the accuracy of a network is better than chance."""

from collections.abc import Collection
from math import sqrt

from senet.experiments.result import Result

__all__ = ["most_by_chance", "mostly_guesses", "only_guesses"]

DEVIATIONS = 2.0  # standard deviations of a binomial: 1 in 40 random guesses is above


def most_by_chance(result: Result) -> float:
    """Return an upper bound of the number of correct images by chance: constant or random answers."""
    share = max(map(sum, result.confusion)) / result.total
    return result.total * share + DEVIATIONS * sqrt(result.total * share * (1 - share))


def only_guesses(result: Result) -> bool:
    """Return whether the last epoch of a run is not better than chance."""
    return result.last.correct <= most_by_chance(result)


def mostly_guesses(results: Collection[Result]) -> bool:
    """Return whether more than half of the runs of a design are not better than chance, as single ones may seem."""
    return sum(map(only_guesses, results)) > len(results) / 2
