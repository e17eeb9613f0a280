"""Whether a network answers better than somebody who has not seen the images."""

from collections.abc import Collection
from math import sqrt

from senet.experiments.result import Result

__all__ = ["most_by_chance", "mostly_guesses", "only_guesses"]

DEVIATIONS = 2.0  # of a binomial: 1 in 40 guessers is above


def most_by_chance(result: Result) -> float:
    """Return how many test images one gets right who always says the most frequent class, or picks classes by lot."""
    share = max(map(sum, result.confusion)) / result.total
    return result.total * share + DEVIATIONS * sqrt(result.total * share * (1 - share))


def only_guesses(result: Result) -> bool:
    """Return whether the last epoch of a run is not better than chance."""
    return result.last.correct <= most_by_chance(result)


def mostly_guesses(results: Collection[Result]) -> bool:
    """Return whether more than half of the runs of a design only guess: 1 in 40 that does looks better by luck."""
    return sum(map(only_guesses, results)) > len(results) / 2
