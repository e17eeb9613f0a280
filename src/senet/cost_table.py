"""The counts of a network as tables of text, as wide as there is room."""

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
    """Return a table of what a network costs, and of the part inside its SE blocks.

    Args:
        whole: counts of the network by name.
        inside: counts of its blocks.
        plain: counts of its twin without blocks; None leaves the column out.
    """
    heads = ["count", *(["network"] if plain is None else ["plain", "with blocks"]), "in blocks", "share"]
    rows = []
    for label, name in ROWS:
        part, total = inside[name], whole[name]
        counts = [total, part] if plain is None else [plain[name], total, part]
        rows.append([label, *(f"{count:,}" for count in counts), f"{100 * part / total:.2f} %" if total else "-"])
    return table(heads, rows, spare=("share", "in blocks"))


def giga_lines(giga: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a table of the billions of operations by each convention of counting."""
    rows = [[name, f"{one['plain']:.4f}", f"{one['gated']:.4f}"] for name, one in giga.items()]
    return table(["billions of operations by convention", "plain", "with blocks"], rows)


def block_lines(blocks: Sequence[Numbers]) -> list[str]:
    """Return a table of blocks."""
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
