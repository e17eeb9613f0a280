"""Count networks of the zoo, plain and with blocks, without allocating their weights."""

import warnings

import torch

from senet.costs import Cost, cost
from senet.errors import SpecError
from senet.models import create_model, image_size
from senet.spec import SESpec

__all__ = ["count", "counted_row"]


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
