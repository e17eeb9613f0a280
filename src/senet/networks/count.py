"""Count parameters and multiply-adds of a network by name, plain and with blocks."""

import warnings
from dataclasses import dataclass, fields

import torch
from torch import nn

from senet.costs import Cost, Counts, cost
from senet.dataflow.example import guesses
from senet.errors import SpecError
from senet.models import ZOO, create_model, image_size
from senet.networks.create import create
from senet.networks.names import Named, named
from senet.networks.pretrained import side_of
from senet.spec import SESpec, design_name
from senet.surgery import insert

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
) -> Cost:
    """Count parameters and multiply-adds of a network of the zoo without allocating its weights.

    Args:
        model: name of the network.
        se: the design; empty for the plain network.
        size: side of the input [pixels]; None means the network's default.
        in_chans: channels of the input.
        num_classes: outputs; None means the network's default.

    Returns:
        Parameters [1] and multiply-adds of one image [MAC], in all and inside blocks.

    Raises:
        SpecError: if an argument does not fit the network.
    """
    side = image_size(model) if size is None else size
    if side < 1:
        raise SpecError(f"--image-size {side} is not a valid size; use a positive number of pixels.")
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ratios wider than a stage: visible in the counts
        network = create_model(model, se=se or None, in_chans=in_chans, num_classes=num_classes, image_size=side)
    return cost(network, shape=(1, in_chans, side, side))


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
) -> CountedDesign:
    """Count a network plain and with a design.

    Args:
        name: name of the network; the blocks of a folder are counted as they are.
        specs: the design; networks of other libraries and builders get it by `insert`.
        size: side of the input [pixels]; None means the network's default.
        in_chans: channels of the input.
        num_classes: outputs; None means the network's default.

    Raises:
        SpecError: if the name is not known, or an argument does not fit the network.
    """
    try:
        found = Named("senet", name) if name in ZOO else named(name)
    except SpecError:
        image_size(name)  # raises the error with the nearest name of the zoo
        raise
    design = design_name(specs)
    if found.library == "senet":
        name = found.name
        plain, gated = (count(name, se, size=size, in_chans=in_chans, num_classes=num_classes) for se in ((), specs))
        return CountedDesign(name, design, image_size(name) if size is None else size, plain, gated)
    if found.library == "folder":
        model = create(name)
        shape = _shape(model, side_of(name) if size is None else size)
        gated = cost(model, shape=shape)
        return CountedDesign(name, "the blocks of the folder", shape[-1], _without_blocks(gated), gated)
    model = create(name, num_classes=num_classes, in_chans=in_chans)
    shape = _shape(model, size)
    plain = cost(model, shape=shape)
    for spec in specs:
        insert(model, spec, shape=shape, preserve=False)
    return CountedDesign(name, design, shape[-1], plain, cost(model, shape=shape))


def _without_blocks(gated: Cost) -> Cost:
    names = [field.name for field in fields(Counts)]
    rest = {name: getattr(gated, name) - getattr(gated.se, name) for name in names}
    return Cost(**rest, se=Counts(**dict.fromkeys(names, 0)), blocks=())


def _shape(model: nn.Module, size: int | None) -> tuple[int, ...]:
    shape = guesses(model)[0]
    return shape if size is None else (*shape[:2], size, size)
