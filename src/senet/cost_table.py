"""Tables of the counts of a network."""

from collections.abc import Mapping, Sequence
from typing import Any

from senet.tables import Table

__all__ = ["block_table", "count_table", "giga_table"]

Numbers = Mapping[str, Any]

ROWS = (
    ("parameters", "params"),
    ("multiply-adds (conv + linear)", "macs"),
    ("pooled elements", "pool"),
    ("scaled elements", "scale"),
    ("added elements", "add"),
    ("bytes kept for backward", "activation_bytes"),
)


def count_table(whole: Numbers, inside: Numbers, *, plain: Numbers | None = None) -> Table:
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
        rows.append([label, *counts, f"{100 * part / total:.2f} %" if total else "-"])
    return Table(heads, rows, spare=("share", "in blocks"))


def giga_table(giga: Mapping[str, Mapping[str, float]]) -> Table:
    """Return a table of operations by convention, for the plain network and the one with blocks [10^9 operations]."""
    rows = [[name, f"{one['plain']:.4f}", f"{one['gated']:.4f}"] for name, one in giga.items()]
    return Table(["billions of operations by convention", "plain", "with blocks"], rows)


def block_table(blocks: Sequence[Numbers]) -> Table:
    """Return a table with one row for each block."""
    heads = ["block", "widths", "map", "params", "MAC", "scale"]
    rows = [
        [
            block["name"],
            "-".join(map(str, block["widths"])),
            "x".join(map(str, block["resolution"])),
            *(block[name] for name in ("params", "macs", "scale")),
        ]
        for block in blocks
    ]
    return Table(heads, rows, spare=("scale", "map", "MAC"))
