"""`networks.create`: a network by name, builder or folder, with blocks and weights where they are asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from senet.errors import CheckpointError, SpecError, UsageError
from senet.networks.building import Builder, build
from senet.networks.names import named
from senet.networks.pretrained import from_pretrained
from senet.networks.zoo_model import create_model
from senet.spec import SESpec, designs
from senet.surgery import insert
from senet.weights.difference import shapes_differ
from senet.weights.numbers import check_values
from senet.weights.prefix import without_prefix
from senet.weights.safe import read_weights
from senet.weights.source import locate

__all__ = ["create"]


def create(
    where: str,
    *,
    se: SESpec | Sequence[SESpec | str] | str | bool | None = None,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    origin: str = "senet",
    builder: Builder | None = None,
) -> nn.Module:
    """Build a network, load its weights, and give it blocks.

    Args:
        where: `resnet20` of the zoo, `timm:NAME`, `torchvision:NAME`, a builder of your own as `FILE.py:FUNCTION` or
            `package.module:FUNCTION`, or a folder: of `save_pretrained`, of a run, or `hf:owner/name`.
        se: designs of blocks, also in words. In the zoo they are part of the network; in every other network one
            design is inserted after the weights were loaded, and the output stays the same.
        num_classes: outputs; None stands for the network's own number, and for that of a folder.
        in_chans: channels of the input.
        image_size: side of the input [pixels], for networks of the zoo whose classifier depends on it.
        options: further arguments of the family, the library or the builder.
        weights: a file with the state dict; None leaves fresh weights, and a folder its own.
        origin: whose names the weights of a network of the zoo have.
        builder: of a folder whose network was made by a function: nothing that a folder names is imported by itself.

    Returns:
        The network in evaluation mode.

    Raises:
        SpecError: if the name or an argument does not fit.
        UsageError: if the library of the name is not installed, or a folder is asked for another network.
        CheckpointError: if the weights are not those of the network.
    """
    found = named(where)
    specs = designs(se)
    if found.library == "senet":
        return create_model(
            found.name,
            se=specs,
            num_classes=num_classes,
            in_chans=in_chans,
            image_size=image_size,
            options=options,
            weights=weights,
            origin=origin,
        ).eval()
    if found.library == "folder":
        if num_classes is not None or in_chans != 3 or options or weights is not None:
            raise UsageError(
                f"{where} says itself what its network is; leave out classes, channels, options and weights."
            )
        model = from_pretrained(found.name, builder=builder)
    else:
        model = build(found, num_classes=num_classes, in_chans=in_chans, options=options, builder=builder)
        if weights is not None:
            tensors = without_prefix(read_weights(locate(weights)), model.state_dict())
            if difference := shapes_differ(tensors, model):
                raise CheckpointError(
                    f"{weights} is not of {where}: {difference}; give weights of that network, in its names."
                )
            check_values(tensors, model.state_dict())
            model.load_state_dict(tensors)
    if specs:
        spec = _one(specs)
        insert(model, spec)
    return model.eval()


def _one(specs: Any) -> SESpec:
    listed = [specs] if isinstance(specs, SESpec) else list(specs) if isinstance(specs, Sequence) else [specs]
    if len(listed) != 1 or not isinstance(listed[0], SESpec):
        raise SpecError("se: one design at a time is inserted into a network of others; for several call senet.insert.")
    return listed[0]
