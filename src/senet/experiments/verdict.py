"""The verdict on a design, in words: pays off, does not pay off, equal within the margin, or undecided."""

import math
from dataclasses import dataclass

from senet.experiments.statistics import Difference

__all__ = [
    "DOES_NOT_PAY",
    "EQUAL",
    "MOST_SEEDS",
    "PAYS",
    "UNDECIDED",
    "Verdict",
    "images_needed",
    "seeds_needed",
    "verdict",
]

PAYS, DOES_NOT_PAY, EQUAL, UNDECIDED = "pays off", "does not pay off", "equal within the margin", "undecided"

MOST_SEEDS = 1000
"""More are not planned."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a comparison says about a design.

    Attributes:
        word: `pays off`, `does not pay off`, `equal within the margin` or `undecided`.
        more_seeds: about how many more would tell, if it is undecided and more seeds can; None otherwise.
        images: about how many test images would be needed, if it is undecided for want of them; None otherwise.
        why: what else keeps it undecided; empty if nothing does.
    """

    word: str
    more_seeds: int | None = None
    images: int | None = None
    why: str = ""

    @property
    def decided(self) -> bool:
        """Whether it is any but `undecided`."""
        return self.word != UNDECIDED

    def __str__(self) -> str:
        """Return the verdict with the way to one: `undecided: about 9 more seeds would decide it`."""
        if self.why:
            return f"{self.word}: {self.why}"
        if self.images is not None:
            return f"{self.word}: more seeds cannot decide this, a test set of about {self.images:,} images could"
        if self.more_seeds is not None:
            number = f"about {self.more_seeds:,}" if self.more_seeds < MOST_SEEDS else f"more than {MOST_SEEDS:,}"
            return f"{self.word}: {number} more seed{'s' * (self.more_seeds != 1)} would decide it"
        return self.word


def verdict(difference: Difference, margin: float, *, guesses: bool = False) -> Verdict:
    """Classify a design by the interval of its difference.

    Equal is what lies within the margin as a whole: the interval is that of two one-sided tests at 2.5 % each, so a
    true difference beyond the margin passes with that probability at most.

    Args:
        difference: against the baseline.
        margin: smallest difference that matters [points].
        guesses: neither network is better than guessing.

    Source:
        Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", Journal of
        Pharmacokinetics and Biopharmaceutics 15 (1987).
    """
    if guesses:
        return Verdict(word=UNDECIDED, why="the networks have not learned more than guessing")
    if difference.n < 2:
        pairs = "one pair has no interval" if difference.n else "no seed has results for both networks"
        return Verdict(word=UNDECIDED, why=f"{pairs}; at least 3 seeds are needed")
    if math.isnan(difference.half):
        return Verdict(word=UNDECIDED, why="equal differences show no spread; more seeds may")
    low, high = difference.low, difference.high
    if difference.n > 2:
        if -margin < low and high < margin:
            return Verdict(word=EQUAL)
        if difference.decided:
            return Verdict(word=PAYS if low > 0 else DOES_NOT_PAY)
    # if the mean stays where it is, the interval leaves 0 or lies within the margin when it is this short
    sought = max(abs(difference.mean), margin - abs(difference.mean))
    if (images := images_needed(difference, sought)) is not None:
        if difference.images is not None and not difference.images.paired:
            return Verdict(word=UNDECIDED, why="the results do not record which test images were classified correctly")
        return Verdict(word=UNDECIDED, images=images)
    needed = seeds_needed(difference, sought)
    return Verdict(word=UNDECIDED, more_seeds=MOST_SEEDS if needed is None else max(1, needed - difference.n))


def seeds_needed(difference: Difference, sought: float) -> int | None:
    """Return how many seeds detect a true difference with power 0.8, if the spread stays as it was estimated.

    Args:
        difference: of the first seeds, at least two.
        sought: true difference [points].

    Returns:
        The number in all, at least 3; None if `MOST_SEEDS` do not suffice.
    """
    low, high = 2, 3
    while not difference.after(high).visible <= sought:
        if high >= MOST_SEEDS:
            return None
        low, high = high, min(MOST_SEEDS, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if difference.after(middle).visible <= sought else (middle, high)
    return high


def images_needed(difference: Difference, sought: float) -> int | None:
    """Return how many test images a difference needs, two digits of it, where no number of seeds shows it on these."""
    images = difference.images
    if images is None:
        return None
    endless = difference.after(10 * MOST_SEEDS)
    if endless.visible <= sought:
        return None
    needed = math.ceil(images.total * (endless.visible / sought) ** 2)
    unit = int(10 ** max(0, len(str(needed)) - 2))
    return -(-needed // unit) * unit
