"""The counts of a network plain and with blocks, as text and as plain values."""

from dataclasses import asdict
from typing import Any

from senet.cost_table import block_table, count_table, giga_table
from senet.costs import CONVENTIONS
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
    parts = ["\n".join(wrapped(one_line(title), room()))]
    parts += [str(count_table(gated, gated["se"], plain=plain)), str(giga_table(values["giga"]))]
    if gated["blocks"]:
        few = f"{len(gated['blocks'])} blocks; --blocks lists them"
        parts.append(str(block_table(gated["blocks"])) if blocks else few)
    return "\n\n".join(parts)
