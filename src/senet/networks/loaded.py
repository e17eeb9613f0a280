"""Building of networks by name for the command line, with weights under their own tensor names."""

from pathlib import Path
from typing import Any

from torch import nn

from senet.errors import CheckpointError, UsageError
from senet.networks import LIBRARIES, Named, from_pretrained, named, origin_of
from senet.networks.building import build
from senet.weights.difference import shapes_differ
from senet.weights.numbers import check_values
from senet.weights.prefix import without_prefix
from senet.weights.safe import read_weights
from senet.weights.source import locate

__all__ = ["LIBRARIES", "Named", "host", "made_of", "named"]


def host(
    name: str,
    *,
    weights: Path | None = None,
    num_classes: int | None = None,
    or_classes: int | None = None,
    builder: str | None = None,
    hint: str = "",
) -> nn.Module:
    """Build a network by name and load weights strictly, without downloading anything for the name.

    Args:
        name: see `named`.
        weights: file with the network's state dict, in its own names; None keeps fresh weights, or those of the folder.
        num_classes: outputs; None means the network's default.
        or_classes: number of outputs to try if the file does not fit the network with `num_classes`.
        builder: `FILE.py:FUNCTION` that builds the network of a folder; functions that a folder names are not imported.
        hint: note added to the error if the weights belong to another network.

    Returns:
        The network in evaluation mode.

    Raises:
        SpecError: if the name is not known, or the library cannot build the network.
        UsageError: if the library is not installed.
        CheckpointError: if the weights belong to another network.
    """
    found = named(name)
    if found.library == "folder" and num_classes is not None:
        raise UsageError(f"{name} defines the number of outputs of its network; omit --num-classes.")
    if builder is not None and found.library != "folder":
        raise UsageError(f"--builder is for folders; pass {builder} as the name of the network instead of {name}.")
    model = _build(found, num_classes, builder)
    if weights is None:
        return model.eval()
    tensors = without_prefix(read_weights(locate(weights)), model.state_dict())
    difference = shapes_differ(tensors, model)
    if difference and or_classes is not None and found.library != "folder":
        other = _build(found, or_classes, None)
        if not shapes_differ(tensors, other):
            model, difference = other, ""
    if difference:
        error = CheckpointError(
            f"{weights} does not fit {name}: {difference}; use weights of that network with its tensor names."
        )
        if hint:
            error.add_note(hint)
        raise error
    check_values(tensors, model.state_dict())
    model.load_state_dict(tensors)
    return model.eval()


def made_of(name: str, builder: str | None) -> dict[str, Any]:
    """Return the arguments of `save_pretrained` for a network that `host` built: from where it came, by whom."""
    return {**origin_of(name), **({} if builder is None else {"name": builder})}


def _build(found: Named, num_classes: int | None, builder: str | None) -> nn.Module:
    if found.library == "folder":
        return from_pretrained(found.name, builder=builder)
    return build(found, num_classes=num_classes)
