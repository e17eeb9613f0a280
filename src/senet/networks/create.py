"""`networks.create`: build or load a network by name, builder or folder, with weights to start from and blocks."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from senet.errors import CheckpointError, SpecError, UsageError
from senet.known_names import Origins
from senet.networks.building import USUAL_SIDE, Builder, build, builder_of
from senet.networks.ends import first_convolution, with_channels, with_outputs
from senet.networks.insert_design import insert_design
from senet.networks.names import Named, named
from senet.networks.pretrained import from_pretrained, origin_of
from senet.networks.starting_weights import fit, load_fitted, read_start
from senet.networks.zoo_model import create_model
from senet.spec import SESpec, designs
from senet.weights.difference import shapes_differ
from senet.weights.numbers import load_values

__all__ = ["Plain", "create", "made_of", "plain"]


@dataclass(frozen=True, eq=False)
class Plain:
    """A network as its name builds it, before blocks are added.

    Attributes:
        model: the network, in the mode in which it was built.
        fresh: names of the parameters that the weights do not hold; empty without weights.
        notes: what was changed in the network or its weights, for the report.
    """

    model: nn.Module
    fresh: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def plain(
    where: str,
    *,
    num_classes: int | None = None,
    or_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    builder: Builder | str | None = None,
    hint: str = "",
) -> Plain:
    """Build a network by name and load the weights that it starts from; arguments as for `create`.

    Raises:
        SpecError: if the name is not known, or the network cannot be built.
        CheckpointError: if the weights belong to another network.
        UsageError: if the library is not installed, or a builder is given for a network that has none.
    """
    found = named(where)
    if isinstance(builder, str):
        if found.library != "folder":
            raise UsageError(
                f"--builder is for folders; pass {builder} as the name of the network in place of {where}."
            )
        builder = builder_of(builder)
    if found.library == "folder":
        made = _of_folder(found, num_classes, in_chans, image_size, builder)
    else:
        made = Plain(
            build(
                found,
                num_classes=num_classes,
                in_chans=in_chans,
                image_size=image_size,
                options=options,
                builder=builder,
            )
        )
    if weights is None:
        return made
    tensors = read_start(weights)
    fitted = fit(tensors, made.model, num_classes=num_classes)
    if or_classes is not None and found.library != "folder" and shapes_differ(fitted.tensors, made.model):
        other = build(found, num_classes=or_classes, in_chans=in_chans, image_size=image_size, options=options)
        if not shapes_differ((refitted := fit(tensors, other)).tensors, other):
            made, fitted = replace(made, model=other), refitted
    try:
        load_fitted(made.model, fitted, source=weights, where=where)
    except CheckpointError as error:
        if hint:
            error.add_note(hint)
        raise
    return Plain(made.model, fitted.fresh, made.notes + fitted.notes)


def create(
    where: str,
    *,
    se: SESpec | Sequence[SESpec | str] | str | bool | None = None,
    num_classes: int | None = None,
    or_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    origin: Origins = "senet",
    builder: Builder | str | None = None,
    hint: str = "",
) -> nn.Module:
    """Build a network, load its weights, and add blocks. What is changed in the weights is a warning.

    Args:
        where: a name of the zoo such as `resnet20`, `timm:NAME`, `torchvision:NAME`, a custom builder as
            `FILE.py:FUNCTION` or `package.module:FUNCTION`, or a folder: of `save_pretrained`, of a run, or
            `hf:owner/name`.
        se: the design, as specs or text. In networks of the zoo the blocks are built in; in other networks they are
            inserted after the weights are loaded, without changing the output.
        num_classes: outputs; a classifier of other weights is then replaced by a fresh one. None means the default of
            the network or the folder, and the weights must have it too.
        or_classes: number of outputs to try if the weights do not fit the network with `num_classes`; not for networks
            of the zoo whose blocks are built in.
        in_chans: channels of the input; weights for other channels are summed or repeated, as timm does it.
        image_size: side of the input [pixels], for networks of the zoo whose classifier depends on it, and for
            builders without an argument `num_classes`.
        options: further arguments of the family, the library or the builder.
        weights: a file with the state dict, a folder, `hf:owner/name`, or a library's own weights such as
            `timm:resnet18.a1_in1k`; None keeps fresh weights, or those of the folder.
        origin: whose tensor names the weights have, for networks of the zoo.
        builder: the function that builds the network of a folder with a custom builder, or its name; for safety,
            functions that a folder names are not imported.
        hint: note added to the error if the weights belong to another network.

    Returns:
        The network in evaluation mode.

    Raises:
        SpecError: if the name or an argument is not valid.
        UsageError: if the library is not installed.
        CheckpointError: if the weights do not fit the network.
    """
    found, specs = named(where), designs(se)
    if origin != "senet" and found.library != "senet":
        raise SpecError(f"origin = {origin!r} is for networks of the zoo; leave it out for {where}.")
    if found.library == "senet" and (specs or origin != "senet"):
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
    made = plain(
        where,
        num_classes=num_classes,
        or_classes=or_classes,
        in_chans=in_chans,
        image_size=image_size,
        options=options,
        weights=weights,
        builder=builder,
        hint=hint,
    )
    for note in made.notes:
        warnings.warn(f"{where}: {note}.", stacklevel=2)
    if specs:
        insert_design(made.model, (specs,) if isinstance(specs, SESpec) else tuple(specs))
    return made.model.eval()


def made_of(name: str, builder: str | None) -> dict[str, Any]:
    """Return the arguments of `save_pretrained` for a network of this name: from where it came, by whom."""
    return {**origin_of(name), **({} if builder is None else {"name": builder})}


def _of_folder(
    found: Named, num_classes: int | None, in_chans: int, image_size: int | None, builder: Builder | None
) -> Plain:
    """Load the network of a folder; other classes and channels than its own replace its two ends."""
    model = from_pretrained(found.name, builder=builder)
    fresh: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    first = first_convolution(model)
    channels = in_chans if first is None else first[1].in_channels
    if in_chans not in (3, channels):
        tensors = dict(model.state_dict())
        fitted = fit(tensors, with_channels(model, in_chans))
        load_values(model, fitted.tensors)
        notes, channels = fitted.notes, in_chans
    if num_classes is not None:
        before = dict(model.named_parameters())
        side = image_size or origin_of(found.name)["image_size"] or USUAL_SIDE
        with_outputs(model, num_classes, (channels, side, side))
        fresh = frozenset(name for name, value in model.named_parameters() if before.get(name) is not value)
        if fresh:
            layer = min(fresh).rpartition(".")[0]
            notes += (f"the classifier {layer} was replaced by a fresh one with {num_classes} outputs",)
    return Plain(model, fresh, notes)
