"""The counts of a network as lines of text."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["block_lines", "count_lines"]

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
    title = "network" if plain is None else "with blocks"
    first = "" if plain is None else f"{'plain':>16}"
    lines = [f"{'':30}{first}{title:>16}{'in blocks':>16}{'share':>9}"]
    for label, name in ROWS:
        part, total = inside[name], whole[name]
        first = "" if plain is None else f"{plain[name]:>16,}"
        share = f"{100 * part / total:.2f} %" if total else "-"
        lines.append(f"{label:30}{first}{total:>16,}{part:>16,}{share:>9}")
    return lines


def block_lines(blocks: Sequence[Numbers]) -> list[str]:
    """Return a table of blocks."""
    long = max(38, *(len(block["name"]) + 1 for block in blocks))
    lines = [f"{'block':{long}}{'widths':>18}{'map':>10}{'params':>10}{'MAC':>12}{'scale':>10}"]
    for block in blocks:
        widths = "-".join(map(str, block["widths"]))
        size = "x".join(map(str, block["resolution"]))
        numbers = f"{block['params']:>10,}{block['macs']:>12,}{block['scale']:>10,}"
        lines.append(f"{block['name']:{long}}{widths:>18}{size:>10}{numbers}")
    return lines
