"""Count parameters and multiply-adds of a network by name, plain and with blocks."""

from dataclasses import dataclass, fields

from senet.costs import Cost, Counts, cost
from senet.dataflow.example import guesses
from senet.errors import SpecError, UsageError
from senet.models import ZOO, image_size
from senet.networks.create import create
from senet.networks.names import Named, named
from senet.networks.outline import outline
from senet.networks.pretrained import side_of
from senet.spec import SESpec, design_name

__all__ = ["CountedDesign", "count", "count_design", "counted_row"]


@dataclass(frozen=True)
class CountedDesign:
    """The counts of a network without and with blocks.

    Attributes:
        model: name of the network.
        design: name of the design of its blocks.
        image_size: side of the input [pixels].
        plain: counts without blocks.
        gated: counts with blocks.
    """

    model: str
    design: str
    image_size: int
    plain: Cost
    gated: Cost


def count(
    model: str,
    se: tuple[SESpec, ...],
    *,
    size: int | None = None,
    in_chans: int = 3,
    num_classes: int | None = None,
    at: tuple[str, ...] = (),
) -> Cost:
    """Count parameters and multiply-adds of a network without allocating its weights.

    Args:
        model: as for `senet.networks.create`.
        se: the design; empty for the plain network.
        size: side of the input [pixels]; None means the network's default.
        in_chans: channels of the input.
        num_classes: outputs; None means the network's default.
        at: patterns of the units that get blocks, see `senet.experiments.run.Run`.

    Returns:
        Parameters [1] and multiply-adds of one image [MAC], in all and inside blocks.

    Raises:
        SpecError: if an argument does not fit the network.
    """
    side = image_size(model) if size is None and model in ZOO else size
    if side is not None and side < 1:
        raise SpecError(f"--image-size {side} is not a valid size; use a positive number of pixels.")
    network = outline(model, se, side=side, in_chans=in_chans, num_classes=num_classes, at=at)
    shape = guesses(network)[0] if side is None else (1, in_chans, side, side)
    return cost(network, shape=shape)


def counted_row(name: str) -> tuple[int, int, int, int, int, int]:
    """Count a network plain and with blocks of the default spec: a row of `senet.reports.zoo_costs.COSTS`."""
    plain, gated = count(name, ()), count(name, (SESpec(),))
    return image_size(name), plain.params, plain.macs, gated.params, gated.macs, len(gated.blocks)


def count_design(
    name: str,
    specs: tuple[SESpec, ...],
    *,
    size: int | None = None,
    in_chans: int = 3,
    num_classes: int | None = None,
    builder: str | None = None,
) -> CountedDesign:
    """Count a network plain and with a design.

    Args:
        name: name of the network; the blocks of a folder are counted as they are.
        specs: the design; networks of other libraries and builders get it by `insert`.
        size: side of the input [pixels]; None means the network's default.
        in_chans: channels of the input.
        num_classes: outputs; None means the network's default.
        builder: function that builds the network of a folder, for folders of a user-supplied builder.

    Raises:
        SpecError: if the name is not known, or an argument does not fit the network.
    """
    try:
        found = Named("senet", name) if name in ZOO else named(name)
    except SpecError:
        image_size(name)  # raises the error with the nearest name of the zoo
        raise
    if builder is not None and found.library != "folder":
        raise UsageError(f"--builder is for folders; pass {builder} as the name of the network in place of {name}.")
    if found.library == "folder":
        model = create(name, builder=builder)
        side = side_of(name) if size is None else size
        shape = guesses(model)[0] if side is None else (*guesses(model)[0][:2], side, side)
        gated = cost(model, shape=shape)
        return CountedDesign(name, "the blocks of the folder", shape[-1], _without_blocks(gated), gated)
    if found.library == "senet":
        name = found.name
    if size is None:
        size = image_size(name) if name in ZOO else guesses(outline(name, num_classes=num_classes))[0][-1]
    plain, gated = (count(name, se, size=size, in_chans=in_chans, num_classes=num_classes) for se in ((), specs))
    return CountedDesign(name, design_name(specs), size, plain, gated)


def _without_blocks(gated: Cost) -> Cost:
    names = [field.name for field in fields(Counts)]
    rest = {name: getattr(gated, name) - getattr(gated.se, name) for name in names}
    return Cost(**rest, se=Counts(**dict.fromkeys(names, 0)), blocks=())
