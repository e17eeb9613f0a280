"""The designs that no other design beats in everything."""

from collections.abc import Mapping

from senet.search.strategy import Design, Score

__all__ = ["front"]


def front(scores: Mapping[Design, Score], objectives: tuple[str, ...]) -> list[Design]:
    """Give the Pareto front, best in the first objective first.

    A design is left out if another is at least as good in every objective and better in one. Scores are means with
    noise: a front of close points is a suggestion, not a ranking.

    Args:
        scores: what is known.
        objectives: names of `OBJECTIVES`.
    """
    maximized = {design: score.maximized(objectives) for design, score in scores.items()}

    def beaten(mine: tuple[float, ...]) -> bool:
        return any(
            other != mine and all(a >= b for a, b in zip(other, mine, strict=True)) for other in maximized.values()
        )

    return sorted((d for d, mine in maximized.items() if not beaten(mine)), key=lambda d: maximized[d], reverse=True)
