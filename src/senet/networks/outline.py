"""Networks without weights: layers and blocks of any network by name, built without taking memory where it can be."""

import warnings
from collections.abc import Sequence

import torch
from torch import nn

from senet.errors import SpecError
from senet.experiments.run import Run
from senet.networks.building import build, options_for_training
from senet.networks.create import plain
from senet.networks.insert_design import insert_design
from senet.networks.names import named
from senet.spec import SESpec

__all__ = ["devices", "outline", "outline_of"]

IMAGES = {"digits": (1, 8), "control": (3, 16), "cifar10": (3, 32), "cifar100": (3, 32), "svhn": (3, 32)}
"""Channels and sides [pixels] of the images of a data set; those of `control` are 8x32, as many pixels as 16x16."""


def devices(model: str) -> tuple[str, ...]:
    """Return the devices to build a network on, one after the other: torchvision's RegNets, say, need real values."""
    return ("meta",) if named(model).library == "senet" else ("meta", "cpu")


def outline(
    model: str,
    se: Sequence[SESpec] = (),
    *,
    side: int | None = None,
    in_chans: int = 3,
    num_classes: int | None = None,
    at: Sequence[str] = (),
    device: str = "",
) -> nn.Module:
    """Build a network and its blocks, on the meta device where it can be.

    Args:
        model: as for `senet.networks.create`.
        se: the design; empty is the plain network.
        side: of the input [pixels]; None means the network's own.
        in_chans: channels of the input.
        num_classes: outputs; None means the network's default.
        at: patterns of units, see `Run.at`.
        device: one of `devices(model)`; empty tries them in turn.

    Raises:
        SpecError: if the network or a design does not fit.
    """
    for place in (device,) if device else devices(model):
        try:
            with torch.device(place), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # ratios wider than a stage, defaults of libraries
                return _built(model, se, side, in_chans, num_classes, at)
        except (NotImplementedError, SpecError):
            if place == (device or devices(model)[-1]):
                raise
    raise AssertionError


def outline_of(run: Run) -> nn.Module:
    """Build the network of a run as `outline` does, for the images of its data set where their size is known."""
    channels, side = IMAGES.get(run.data.name, (3, None))
    return outline(run.model, run.se, side=run.data.size or side, in_chans=channels, at=run.at)


def _built(
    model: str,
    se: Sequence[SESpec],
    side: int | None,
    in_chans: int,
    num_classes: int | None,
    at: Sequence[str],
) -> nn.Module:
    found = named(model)
    if found.library == "folder":
        network = plain(model, num_classes=num_classes, in_chans=in_chans, image_size=side).model
    else:
        inside, options = se if found.library == "senet" else (), options_for_training(found, in_chans=in_chans)
        network = build(
            found, num_classes=num_classes, in_chans=in_chans, image_size=side, se=inside or None, options=options
        )
    if se and found.library != "senet":
        insert_design(network, se, at=at, shape=None if side is None else (1, in_chans, side, side), preserve=False)
    return network
