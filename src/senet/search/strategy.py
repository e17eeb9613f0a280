"""The interface of strategies: a generator that proposes designs, receives their scores, and returns its choice.

It does not depend on networks, data or time, so tests can replace trainings by a table of a paper's numbers.
"""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from senet.spec import SESpec

__all__ = ["OBJECTIVES", "Batch", "Design", "Score", "Strategy", "merit"]

Design = tuple[SESpec, ...]
"""The blocks of a network, as in `Run.se`; empty is the plain network."""

OBJECTIVES: Mapping[str, int] = {"accuracy": 1, "loss": -1, "params": -1, "latency_ms": -1}
"""The objectives of a search, and whether more (1) or less (-1) is better."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """The measured values of a design.

    Attributes:
        accuracy: mean over seeds on the held-out images [%].
        loss: mean loss over seeds on the held-out images [nats].
        params: learnable parameters of the network.
        latency_ms: median time of one image; nan if it was not measured.
    """

    accuracy: float
    loss: float = math.nan
    params: int = 0
    latency_ms: float = math.nan

    def maximized(self, objectives: tuple[str, ...]) -> tuple[float, ...]:
        """Return the objectives as numbers of which more is better."""
        return tuple(OBJECTIVES[name] * float(getattr(self, name)) for name in objectives)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Designs that a strategy proposes together.

    Attributes:
        phase: their purpose in words.
        designs: in order of priority; known ones are not trained again.
    """

    phase: str
    designs: tuple[Design, ...]


Strategy = Generator[Batch, Mapping[Design, Score], Design | None]
"""Yields batches, receives the scores available, returns its choice (None leaves it to the driver)."""


def merit(objectives: tuple[str, ...]) -> Callable[[Score], tuple[float, ...]]:
    """Return the key by which designs are ranked: the first objective, then the others to break ties."""

    def key(score: Score) -> tuple[float, ...]:
        return score.maximized(objectives)

    return key
