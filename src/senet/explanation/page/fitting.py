"""Choose which tables fit into the page, and in how many bits.

All tables whole in the first form that fits; else 8 bits, and in the order of their use: every block's class means
and deviations at the 50 evenly spaced channels that the paper and the page draw, then whole class means from the last
stages on, then the rest.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from senet.explanation.page.arrays import Form, Packed, pack
from senet.explanation.page.tables import Key

__all__ = ["SAMPLE", "fit", "left_out"]

SAMPLE = 50
"""Evenly spaced channels of a table that does not fit whole: those that the curves draw (`SAMPLES` in curves.js)."""

_FORMS: tuple[Form, ...] = ("float32", "uint16", "uint8")
_LEAST = 0.4
"""Share of its bytes below which no table was seen to be compressed; a larger one is not tried."""
_WORDS = {
    "class_mean": "class means of gates",
    "class_std": "standard deviations of gates within classes",
    "logit_mean": "class means of logits",
    "logit_std": "standard deviations of logits within classes",
    "condition": "means of gates by condition",
}
# what is tried in turn: a kind of table, and whether whole or at `SAMPLE` channels
_TURNS = (
    ("class_mean", False),
    ("condition", False),
    ("class_std", False),
    ("class_mean", True),
    ("logit_mean", False),
    ("condition", True),
    ("class_std", True),
    ("logit_mean", True),
    ("logit_std", False),
    ("logit_std", True),
)


def fit(tables: Mapping[Key, np.ndarray], size: int, *, least: int, first: Sequence[int]) -> dict[Key, Packed]:
    """Return the tables that fit, packed.

    Args:
        tables: rows are classes or groups, columns channels.
        size: bytes for all of them, whole.
        least: bytes for them if they do not fit whole: what else would use the difference must give way.
        first: numbers of blocks, those to keep first.
    """
    for form in _FORMS:
        if _LEAST * np.dtype(form).itemsize * sum(table.size for table in tables.values()) > size:
            continue
        packed = {key: pack(table, form) for key, table in tables.items()}
        if sum(part.size for part in packed.values()) <= size:
            return packed
    return _in_turns(tables, least, first)


def _in_turns(tables: Mapping[Key, np.ndarray], left: int, first: Sequence[int]) -> dict[Key, Packed]:
    kept: dict[Key, Packed] = {}
    order = sorted(tables, key=lambda key: (first.index(key.block), key.model))
    for kind, whole in _TURNS:
        for key in (key for key in order if key.kind == kind):
            table = tables[key]
            if key in kept and kept[key].channels is None:
                continue
            before = kept[key].size if key in kept else 0
            if whole and _LEAST * table.size > left + before:
                continue
            part = pack(table, "uint8", channels=None if whole else _sample(table.shape[1]))
            if part.size - before <= left:
                kept[key] = part
                left -= part.size - before
    return kept


def _sample(channels: int) -> list[int] | None:
    if channels <= SAMPLE:
        return None
    return [int((place + 0.5) * channels / SAMPLE) for place in range(SAMPLE)]


def left_out(tables: Mapping[Key, np.ndarray], kept: Mapping[Key, Packed]) -> list[str]:
    """Return a sentence for each kind of table of which something does not fit."""
    found = []
    for kind, word in _WORDS.items():
        keys = [key for key in tables if key.kind == kind]
        states = Counter(
            "none" if key not in kept else "whole" if kept[key].channels is None else "part" for key in keys
        )
        if states["whole"] < len(keys):
            whole, part, none = (states[state] for state in ("whole", "part", "none"))
            found.append(
                f"Left out to stay within the size limit: of the {word}, {whole} of {len(keys)} tables are whole, "
                f"{part} hold {SAMPLE} evenly spaced channels, {none} are absent; sums.safetensors holds them all."
            )
    return found
