"""The look of a design: colour, marker and line, by its name, so that it keeps them in every figure."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from zlib import crc32

__all__ = ["AT_ONCE", "BLACK", "COLORS", "GREY", "MARKERS", "Look", "looks", "point_name"]

# Okabe and Ito's colours without their yellow, which is too light on white: colour-blind readers tell them apart
BLACK = "#000000"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#8c8c8c"  # never a design, so that it can stand for "the others"
MARKERS = "sD^vP*X"
STYLES = ("--", ":", "-.", "-")
AT_ONCE = 8  # most designs that one panel can hold


@dataclass(frozen=True)
class Look:
    """How a design is drawn: a reader can tell it by any of the three."""

    color: str
    marker: str
    style: str

    @property
    def point(self) -> dict[str, Any]:
        """Arguments of matplotlib for points that no line joins."""
        return {"color": self.color, "marker": self.marker, "linestyle": "none"}

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of matplotlib for points joined by a line."""
        return {"color": self.color, "marker": self.marker, "linestyle": self.style}


PLAIN = Look(BLACK, "o", "-")
SLOTS = len(COLORS) * len(MARKERS)

# slots of the designs that most figures show; those of one paper's table have different colours
_FIXED = {
    "standard r=16": 0,
    "standard r=4": 1,
    "slow_both r=16": 2,
    "bump r=16": 3,
    "slow_squeeze r=16": 4,
    "slow_excite r=16": 5,
    "bump_conv r=16": 7,
    "standard r=8": 8,
    "standard r=2": 9,
    "standard r=32": 10,
}


def looks(names: Sequence[str]) -> list[Look]:
    """Return a look for each design; it depends on the name alone unless two designs of a figure would look alike.

    The plain network is black with a circle, known designs have fixed looks, others one that a checksum of the name
    selects. Where that is taken in this figure, the next free one is used. Up to six designs beside the plain network
    have different colours and different markers; more have different pairs of them, in one panel the rarest.

    Args:
        names: designs of a figure; their order does not matter, equal names have equal looks.

    Example:
        >>> looks(["plain", "standard r=16"])[0].marker
        'o'
    """
    names = [re.sub(r"r=(\d+)(-\1)+(?![-.\d])", r"r=\1", name) for name in names]  # the same ratio in all stages
    others = sorted(set(names) - {"plain"}, key=lambda name: (name not in _FIXED, name))
    few = len(others) <= len(COLORS)
    keeps = few or len(set(names)) > AT_ONCE
    given = {"plain": PLAIN}
    for name in others:
        first = _FIXED.get(name, crc32(name.encode()) % SLOTS)
        free = (look for look in map(_look, count(first)) if not _alike(look, given.values(), few=few))
        given[name] = next(look for look in free if keeps or name in _FIXED or _is_rare(look, given.values()))
    return [given[name] for name in names]


def _alike(look: Look, others: Iterable[Look], *, few: bool) -> bool:
    """Return whether another design has this colour or marker (of a few designs), or all of the look (of many)."""
    if few:
        return any(look.color == other.color or look.marker == other.marker for other in others)
    return look in others


def _is_rare(look: Look, others: Iterable[Look]) -> bool:
    """Return whether no other look has a colour and a marker that are used less often."""
    used = Counter(part for other in others for part in (other.color, other.marker))
    return used[look.color] + used[look.marker] == min(
        used[other.color] + used[other.marker] for other in map(_look, range(SLOTS))
    )


def _look(slot: int) -> Look:
    turn, color = divmod(slot, len(COLORS))
    style = STYLES[(color + turn + turn // len(MARKERS)) % len(STYLES)]
    return Look(COLORS[color], MARKERS[(color + turn) % len(MARKERS)], style)


def point_name(design: str) -> str:
    """Return the name of a design as short as a point of a figure needs it.

    Example:
        >>> point_name("standard r=2-4-8"), point_name("bump r=16")
        ('2-4-8', 'bump 16')
    """
    return design.replace("standard ", "").replace("r=", "")
