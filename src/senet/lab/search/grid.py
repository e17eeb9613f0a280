"""All designs of a space in order, or some of them by chance."""

import random

from senet.lab.search.space import Space
from senet.lab.search.strategy import Batch, Strategy

__all__ = ["grid", "scatter"]


def grid(space: Space) -> Strategy:
    """Ask for everything; a budget cuts it off."""
    if space.plain:
        yield Batch(phase="plain", designs=((),))
    yield Batch(phase="grid", designs=tuple(space.designs()))
    return None


def scatter(space: Space, *, seed: int = 0) -> Strategy:
    """Ask for everything in a random order; what a budget leaves is a sample without repetition."""
    designs = space.designs()
    random.Random(seed).shuffle(designs)
    if space.plain:
        yield Batch(phase="plain", designs=((),))
    yield Batch(phase="random", designs=tuple(designs))
    return None
