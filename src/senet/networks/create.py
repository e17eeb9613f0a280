"""`networks.create`: build or load a network by name, builder or folder, and add blocks."""

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
    """Build a network, load its weights, and add blocks.

    Args:
        where: a name of the zoo such as `resnet20`, `timm:NAME`, `torchvision:NAME`, a custom builder as
            `FILE.py:FUNCTION` or `package.module:FUNCTION`, or a folder: of `save_pretrained`, of a run, or
            `hf:owner/name`.
        se: the design, as specs or text. In networks of the zoo the blocks are built in; in other networks one spec
            is inserted after the weights are loaded, without changing the output.
        num_classes: outputs; None means the default of the network or the folder.
        in_chans: channels of the input.
        image_size: side of the input [pixels], for networks of the zoo whose classifier depends on it.
        options: further arguments of the family, the library or the builder.
        weights: a file with the state dict; None keeps fresh weights, or those of the folder.
        origin: whose tensor names the weights have, for networks of the zoo.
        builder: the function that builds the network of a folder with a custom builder; for safety, functions that a
            folder names are not imported.

    Returns:
        The network in evaluation mode.

    Raises:
        SpecError: if the name or an argument is not valid.
        UsageError: if the library is not installed, or arguments of a folder's network are overridden.
        CheckpointError: if the weights do not fit the network.
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
            raise UsageError(f"{where} defines its own network; omit num_classes, in_chans, options and weights.")
        model = from_pretrained(found.name, builder=builder)
    else:
        model = build(found, num_classes=num_classes, in_chans=in_chans, options=options, builder=builder)
        if weights is not None:
            tensors = without_prefix(read_weights(locate(weights)), model.state_dict())
            if difference := shapes_differ(tensors, model):
                raise CheckpointError(
                    f"{weights} does not fit {where}: {difference}; use weights of that network with its tensor names."
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
        raise SpecError(
            "se: only one spec can be inserted into a network of another library here; for several call senet.insert."
        )
    return listed[0]
