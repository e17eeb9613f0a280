"""What a strategy is: a generator that asks for designs, is told their scores, and returns the one it would take.

It knows nothing of networks, data or time, so an oracle with a paper's numbers can stand for a training.
"""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from senet.spec import SESpec

__all__ = ["OBJECTIVES", "Batch", "Design", "Score", "Strategy", "merit"]

Design = tuple[SESpec, ...]
"""The blocks of a network, as in `Run.se`; empty is the plain network."""

OBJECTIVES: Mapping[str, int] = {"accuracy": 1, "loss": -1, "params": -1, "latency_ms": -1}
"""What a search may want, and whether more (1) or less (-1) is better."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What is known of a design.

    Attributes:
        accuracy: mean over seeds on the held-out images [%].
        loss: likewise [nats].
        params: learnable parameters of the network.
        latency_ms: median time of one image; nan where it was not measured.
    """

    accuracy: float
    loss: float = math.nan
    params: int = 0
    latency_ms: float = math.nan

    def maximized(self, objectives: tuple[str, ...]) -> tuple[float, ...]:
        """Give the objectives as numbers of which more is better."""
        return tuple(OBJECTIVES[name] * float(getattr(self, name)) for name in objectives)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Designs that a strategy wants to know about.

    Attributes:
        phase: what they are for, in words.
        designs: in order of wish; those that are known already cost nothing.
    """

    phase: str
    designs: tuple[Design, ...]


Strategy = Generator[Batch, Mapping[Design, Score], Design | None]
"""Yields batches, is sent the scores that could be had, returns its choice (None: it has no opinion)."""


def merit(objectives: tuple[str, ...]) -> Callable[[Score], tuple[float, ...]]:
    """Give what a single winner is chosen by: the first objective, then the others to break ties."""

    def key(score: Score) -> tuple[float, ...]:
        return score.maximized(objectives)

    return key
