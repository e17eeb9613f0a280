"""The Pareto front of a search."""

from collections.abc import Mapping

from senet.search.strategy import Design, Score

__all__ = ["front"]


def front(scores: Mapping[Design, Score], objectives: tuple[str, ...]) -> list[Design]:
    """Return the Pareto front, sorted by the first objective, best first.

    A design is dominated if another is at least as good in every objective and better in one. Scores are noisy means:
    a front of close points is not a ranking.
    """
    maximized = {design: score.maximized(objectives) for design, score in scores.items()}

    def beaten(mine: tuple[float, ...]) -> bool:
        return any(
            other != mine and all(a >= b for a, b in zip(other, mine, strict=True)) for other in maximized.values()
        )

    return sorted((d for d, mine in maximized.items() if not beaten(mine)), key=lambda d: maximized[d], reverse=True)
