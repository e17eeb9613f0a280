"""What `senet cost` prints."""

from dataclasses import asdict, fields
from typing import Any

from torch import nn

from senet.cost_table import block_lines, count_lines, giga_lines
from senet.costs import CONVENTIONS, Cost, Counts, cost
from senet.dataflow.example import guesses
from senet.errors import SpecError
from senet.experiments import decoding
from senet.models import ZOO, image_size
from senet.networks import Named, named, side_of
from senet.networks.count import count
from senet.spec import SESpec, design_name
from senet.surgery import insert
from senet.tables import room, wrapped
from senet.text import one_line

__all__ = ["Counted", "cost_text", "cost_values"]

Counted = dict[str, Any]


def cost_values(
    model: str, se: str, *, size: int | None = None, in_chans: int = 3, num_classes: int | None = None
) -> Counted:
    """Count a network plain and with a design, as plain values.

    Args:
        model: a name of the zoo, of another library, or a folder, whose blocks are counted as they are.
        se: the design in words; of other libraries' networks one, which is inserted.
        size: side of the input [pixels]; None stands for the network's own.
        in_chans: channels of the input.
        num_classes: outputs; None stands for the network's own number.
    """
    designs = decoding.se_designs(se)
    design = design_name(designs)
    try:
        found = Named("senet", model) if model in ZOO else named(model)
    except SpecError:
        image_size(model)  # refuses the name with the nearest of ours
        raise
    if found.library == "senet":
        model = found.name
        plain = count(model, (), size=size, in_chans=in_chans, num_classes=num_classes)
        gated = count(model, designs, size=size, in_chans=in_chans, num_classes=num_classes)
        side = image_size(model) if size is None else size
    else:
        plain, gated, side = _count_foreign(model, designs, size=size, in_chans=in_chans, num_classes=num_classes)
        design = design if found.library != "folder" else "the blocks of the folder"
    return {
        "model": model,
        "design": design,
        "image_size": side,
        "plain": asdict(plain),
        "gated": asdict(gated),
        "giga": {name: {"plain": plain.giga(name), "gated": gated.giga(name)} for name in CONVENTIONS},
    }


def _count_foreign(
    name: str, specs: tuple[SESpec, ...], *, size: int | None, in_chans: int, num_classes: int | None
) -> tuple[Cost, Cost, int]:
    """Count a network that is not of the zoo, without its blocks and with them, and say on which side [pixels]."""
    from senet.networks import create

    if named(name).library == "folder":
        model = create(name)
        shape = _shape(model, side_of(name) if size is None else size)
        gated = cost(model, shape=shape)
        rest = {field.name: getattr(gated, field.name) - getattr(gated.se, field.name) for field in fields(Counts)}
        none = Counts(**dict.fromkeys(rest, 0))
        return Cost(**rest, se=none, blocks=()), gated, shape[-1]
    model = create(name, num_classes=num_classes, in_chans=in_chans)
    shape = _shape(model, size)
    plain = cost(model, shape=shape)
    for spec in specs:
        insert(model, spec, shape=shape, preserve=False)
    return plain, cost(model, shape=shape), shape[-1]


def _shape(model: nn.Module, size: int | None) -> tuple[int, ...]:
    shape = guesses(model)[0]
    return shape if size is None else (*shape[:2], size, size)


def cost_text(counted: Counted, *, blocks: bool = False) -> str:
    """Write the counts as an aligned table; with `blocks` one more line for each block."""
    plain, gated = counted["plain"], counted["gated"]
    title = f"{counted['model']}, {counted['design']}, one image of {counted['image_size']} pixels"
    lines = [*wrapped(one_line(title), room()), ""]
    lines += count_lines(gated, gated["se"], plain=plain)
    lines += ["", *giga_lines(counted["giga"])]
    if blocks and gated["blocks"]:
        lines += ["", *block_lines(gated["blocks"])]
    elif gated["blocks"]:
        lines += ["", f"{len(gated['blocks'])} blocks; --blocks lists them"]
    return "\n".join(lines)
