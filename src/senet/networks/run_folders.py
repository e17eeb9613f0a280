"""The network of a run folder: `run.json` names it; classes, channels and image size are derived from the weights."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from senet.errors import CheckpointError, SenetError
from senet.experiments import decoding
from senet.files.documents import parse_json, read_text
from senet.networks.building import build
from senet.networks.names import named
from senet.weights.config import Config
from senet.weights.difference import shapes_differ

__all__ = ["config_of_run"]

SIDES = (32, 8, 28, 64, 96, 128, 160, 192, 224, 256, 299)  # sides of images to try [pixels]


def config_of_run(path: Path, tensors: Mapping[str, Tensor]) -> Config:
    """Return the description of a run's network.

    Raises:
        CheckpointError: if `path` is not a valid run, or the weights do not fit it.
    """
    try:
        run = decoding.run(parse_json(read_text(path)), place=str(path))
    except (SenetError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a run: {' '.join(str(error).split())[:300]}") from None
    config = Config(model=run.model, se=run.se)
    found = named(run.model)
    if "fc.weight" not in tensors:
        raise CheckpointError("the weights have no classifier fc.weight; they belong to another network.")
    config = replace(config, num_classes=len(tensors["fc.weight"]))
    difference = "it has no convolution"
    with torch.device("meta"):
        first = next(name for name, value in build(found, se=run.se or None).named_parameters() if value.ndim == 4)
        if first in tensors and tensors[first].ndim == 4:
            config = replace(config, in_chans=tensors[first].shape[1])
        for side in dict.fromkeys((run.data.size or SIDES[0], *SIDES)):
            config = replace(config, image_size=side)
            twin = build(
                found, num_classes=config.num_classes, in_chans=config.in_chans, image_size=side, se=run.se or None
            )
            difference = shapes_differ(tensors, twin)
            if not difference:
                return config
    raise CheckpointError(f"the weights do not fit the run: {difference}.")
