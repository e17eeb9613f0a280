"""The arrays of explanations as tables of the page: statistics by channel, means by class, images of the extremes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from senet.explanation.page.arrays import Packed, pack
from senet.explanation.page.head import CHANNEL_STATISTICS, cleaned

__all__ = ["Explained", "Key", "channel_tables", "class_tables", "extremes", "shortened"]

_FEWER = (8, 4, 2, 1)
"""Numbers of images of each end of a channel that are tried where all do not fit."""


@dataclass(frozen=True)
class Explained:
    """An explanation as `explain.json` and `sums.safetensors` hold it.

    Attributes:
        document: the values of `explain.json`.
        sums: means and standard deviations by class, such as `3.class_mean`; float32.
    """

    document: Mapping[str, Any]
    sums: Mapping[str, Float[np.ndarray, "rows c"]]


class Key(NamedTuple):
    """A table: number of the model, number of the block, and name, such as `class_mean` or `condition.brightness`."""

    model: int
    block: int
    name: str

    @property
    def kind(self) -> str:
        """Its name without that of the condition."""
        return self.name.partition(".")[0]


def _blocks(documents: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
    for model, document in enumerate(documents):
        for number, block in enumerate(document["blocks"]):
            yield model, number, block


def channel_tables(documents: Sequence[Mapping[str, Any]]) -> dict[Key, Packed]:
    """Return each block's statistics by channel: a row for each of `CHANNEL_STATISTICS`, NaN where one is absent."""
    found = {}
    for model, number, block in _blocks(documents):
        numbers = block["channels_by_name"]
        lines = [numbers.get(name) or [None] * block["channels"] for name in CHANNEL_STATISTICS]
        found[Key(model, number, "channels")] = pack(_table(lines), "float32")
    return found


def _table(lines: Sequence[Sequence[float | None]]) -> Float[np.ndarray, "rows c"]:
    return np.array([[np.nan if value is None else value for value in line] for line in lines], dtype=np.float32)


def class_tables(explained: Sequence[Explained]) -> dict[Key, Float[np.ndarray, "rows c"]]:
    """Return the means and standard deviations by class, and the means by condition, of all blocks."""
    found = {}
    for model, one in enumerate(explained):
        for name, table in one.sums.items():
            number, _, rest = name.partition(".")
            kind, _, condition = rest.removesuffix(".mean").partition(".")
            found[Key(model, int(number), f"{kind}.{cleaned(condition)}" if condition else kind)] = table
    return found


def extremes(documents: Sequence[Mapping[str, Any]]) -> dict[Key, Shaped[np.ndarray, "k c"]]:
    """Return the images of each channel's most open and most shut gates, and these gates: a row for each rank."""
    found: dict[Key, np.ndarray] = {}
    for model, number, block in _blocks(documents):
        for end, lists in (block.get("extremes") or {}).items():
            found[Key(model, number, f"extremes.{end}.image")] = np.array(lists["image"], dtype=np.int32).T
            found[Key(model, number, f"extremes.{end}.value")] = _table(lists["value"]).T
    return found


def shortened(lists: Mapping[Key, np.ndarray], size: int) -> tuple[dict[Key, Packed], list[str]]:
    """Return the lists of `extremes` packed, with fewer ranks if they do not fit, and a note that says so.

    Args:
        lists: images and gates, a row for each rank.
        size: bytes for all of them.
    """
    ranks = max(map(len, lists.values()), default=0)
    for most in (ranks, *(fewer for fewer in _FEWER if fewer < ranks)):
        packed = {
            key: pack(lines[:most], "int32" if key.name.endswith("image") else "float32")
            for key, lines in lists.items()
        }
        if sum(part.size for part in packed.values()) <= size:
            break
    note = f"Left out to stay within the size limit: images beyond the first {most} of each end of a channel."
    return packed, [note] if most < ranks else []
