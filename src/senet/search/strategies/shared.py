"""The strategy `shared`: rank every design by one network that contains them all, train only the best alone."""

import random
from collections.abc import Callable, Mapping

from senet.search.space import Space
from senet.search.strategy import Batch, Design, Score, Strategy

__all__ = ["scored_designs", "shared"]


def scored_designs(space: Space, *, seed: int = 0) -> list[Design]:
    """Return the designs that the shared network scores: all, or a random sample of `shared.designs`.

    A sample includes the constant ratios and is in the order of the space, in which neighbours share first stages.
    """
    most = space.shared.designs
    if space.size <= most:
        return space.designs()
    drawn = [space.at(number) for number in sorted(random.Random(seed).sample(range(space.size), most))]
    constants = [space.constant(ratio) for ratio in space.choices.constant]
    return list(dict.fromkeys([*filter(space.holds, constants), *drawn]))[:most]


def shared(space: Space, scores: Mapping[Design, Score], *, merit: Callable[[Score], tuple[float, ...]]) -> Strategy:
    """Propose the designs that the shared network ranks first, and some evenly over all ranks.

    Returns:
        The best of the designs that were trained alone; shared scores do not decide.
    """
    ranked = sorted(scores, key=lambda design: merit(scores[design]), reverse=True)
    if space.plain:
        yield Batch(phase="plain", designs=((),))
    told = yield Batch(phase="retrain", designs=tuple(ranked[: space.shared.retrain]))
    known = dict(told)
    rest = ranked[space.shared.retrain :]
    if probes := min(space.shared.probes, len(rest)):
        step = (len(rest) - 1) / max(1, probes - 1)
        known |= yield Batch(phase="probe", designs=tuple(rest[round(i * step)] for i in range(probes)))
    return max(known, key=lambda design: merit(known[design]), default=None)
