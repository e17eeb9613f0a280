"""Format the counts of a network as text tables that fit the width of the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from senet.tables import table

__all__ = ["block_lines", "count_lines", "giga_lines"]

Numbers = Mapping[str, Any]

ROWS = (
    ("parameters", "params"),
    ("multiply-adds (conv + linear)", "macs"),
    ("pooled elements", "pool"),
    ("scaled elements", "scale"),
    ("added elements", "add"),
    ("bytes kept for backward", "activation_bytes"),
)


def count_lines(whole: Numbers, inside: Numbers, *, plain: Numbers | None = None) -> list[str]:
    """Return a table of the counts of a network and of its SE blocks.

    Args:
        whole: counts of the network by name.
        inside: counts of its blocks by name.
        plain: counts of the network without blocks; None omits the column.
    """
    heads = ["count", *(["network"] if plain is None else ["plain", "with blocks"]), "in blocks", "share"]
    rows = []
    for label, name in ROWS:
        part, total = inside[name], whole[name]
        counts = [total, part] if plain is None else [plain[name], total, part]
        rows.append([label, *(f"{count:,}" for count in counts), f"{100 * part / total:.2f} %" if total else "-"])
    return table(heads, rows, spare=("share", "in blocks"))


def giga_lines(giga: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a table of operations by convention, for the plain network and the one with blocks [10^9 operations]."""
    rows = [[name, f"{one['plain']:.4f}", f"{one['gated']:.4f}"] for name, one in giga.items()]
    return table(["billions of operations by convention", "plain", "with blocks"], rows)


def block_lines(blocks: Sequence[Numbers]) -> list[str]:
    """Return a table with one row for each block."""
    heads = ["block", "widths", "map", "params", "MAC", "scale"]
    rows = [
        [
            block["name"],
            "-".join(map(str, block["widths"])),
            "x".join(map(str, block["resolution"])),
            *(f"{block[name]:,}" for name in ("params", "macs", "scale")),
        ]
        for block in blocks
    ]
    return table(heads, rows, spare=("scale", "map", "MAC"))
