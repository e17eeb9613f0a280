"""Grid search and random search."""

import random

from senet.errors import SpecError
from senet.search.space import Space
from senet.search.strategy import Batch, Strategy

__all__ = ["MOST", "grid", "random_search"]

MOST = 5_000
"""Maximum number of designs to enumerate; a larger space is sampled in batches, or not searched."""
BATCH = 64  # designs of a batch of samples


def grid(space: Space) -> Strategy:
    """Propose all designs in order, as far as the budget allows.

    Raises:
        SpecError: if the space is too large: a budget would never reach other ratios of the first stage.
    """
    if space.size > MOST:
        raise SpecError(
            f"--strategy grid: the space holds {space.size:,} designs, more than {MOST:,}; choose random, tpe, nsga2, "
            f"greedy or shared, or fewer ratios."
        )
    if space.plain:
        yield Batch(phase="plain", designs=((),))
    yield Batch(phase="grid", designs=tuple(space.designs()))
    return None


def random_search(space: Space, *, seed: int = 0) -> Strategy:
    """Propose all designs in random order; with a budget, a sample without repetition."""
    if space.plain:
        yield Batch(phase="plain", designs=((),))
    draw = random.Random(seed)
    if space.size <= MOST:
        designs = space.designs()
        draw.shuffle(designs)
        yield Batch(phase="random", designs=tuple(designs))
        return None
    seen: set[int] = set()
    while len(seen) < space.size:
        new: dict[int, None] = {}
        while len(new) < min(BATCH, space.size - len(seen)):
            number = draw.randrange(space.size)
            if number not in seen:
                new[number] = None
        seen.update(new)
        yield Batch(phase="random", designs=tuple(space.at(number) for number in new))
    return None
