"""The counts of a network plain and with blocks, as text and as plain values."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from senet.cost_table import block_table, count_table, giga_table
from senet.costs import CONVENTIONS, BlockCost
from senet.networks.count import CountedDesign
from senet.tables import room, wrapped
from senet.text import one_line

__all__ = ["cost_text", "cost_values"]


def cost_values(counted: CountedDesign) -> dict[str, Any]:
    """Return the counts as plain values, with multiply-adds in each published convention [10^9]."""
    plain, gated = counted.plain, counted.gated
    giga = {name: {"plain": plain.giga(name), "gated": gated.giga(name)} for name in CONVENTIONS}
    return {**asdict(counted), "giga": giga}


def cost_text(counted: CountedDesign, *, blocks: bool = False) -> str:
    """Return the counts as an aligned table; `blocks` adds a line for each block."""
    values = cost_values(counted)
    plain, gated = values["plain"], values["gated"]
    title = f"{counted.model}, {counted.design}, one image of {counted.image_size} pixels"
    parts = [_paragraph(title)]
    parts += [str(count_table(gated, gated["se"], plain=plain)), str(giga_table(values["giga"]))]
    if gated["blocks"]:
        few = f"{len(gated['blocks'])} blocks; --blocks lists them"
        parts.append(str(block_table(gated["blocks"])) if blocks else few)
        parts += _narrow(counted.gated.blocks)
    return "\n\n".join(parts)


def _narrow(blocks: Sequence[BlockCost]) -> list[str]:
    """Return a caution on blocks whose ratio leaves one hidden unit."""
    narrow = [block for block in blocks if min(block.widths, default=0) == 1 < block.channels]
    if not narrow:
        return []
    widths = "-".join(map(str, narrow[0].widths))
    said = (
        f"caution: {len(narrow)} of {len(blocks)} blocks have a single hidden unit, e.g. {widths} at {narrow[0].name}: "
        "if it dies, the gates are constant; choose a smaller ratio, or min_channels"
    )
    return [_paragraph(said)]


def _paragraph(text: str) -> str:
    return "\n".join(wrapped(one_line(text), room()))
