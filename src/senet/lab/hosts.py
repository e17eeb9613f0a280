"""Networks that the command line is given by name, with weights of their own names."""

from pathlib import Path

from torch import nn

from senet.errors import CheckpointError, UsageError
from senet.networks import LIBRARIES, Named, from_pretrained, named
from senet.networks.building import build
from senet.weights.difference import shapes_differ
from senet.weights.prefix import without_prefix
from senet.weights.safe import read_weights
from senet.weights.source import locate
from senet.weights.values import check_values

__all__ = ["LIBRARIES", "Named", "host", "named"]


def host(
    name: str,
    *,
    weights: Path | None = None,
    num_classes: int | None = None,
    or_classes: int | None = None,
    hint: str = "",
) -> nn.Module:
    """Build a network and load its own weights, strictly; nothing is fetched by the name.

    Args:
        name: see `named`.
        weights: file with the network's state dict, in its own names; None leaves fresh weights, a folder its own.
        num_classes: outputs; None stands for the network's own number.
        or_classes: outputs to try where the file does not fit the network with the number before.
        hint: what to say beside it of weights that are not of the network.

    Raises:
        SpecError: if nobody knows the name, or the library cannot build the network.
        UsageError: if the library of the name is not installed.
        CheckpointError: if the weights are those of another network.
    """
    found = named(name)
    if found.library == "folder" and num_classes is not None:
        raise UsageError(f"{name} says itself how many outputs its network has; leave out --num-classes.")
    model = _build(found, num_classes)
    if weights is None:
        return model.eval()
    tensors = without_prefix(read_weights(locate(weights)), model.state_dict())
    difference = shapes_differ(tensors, model)
    if difference and or_classes is not None and found.library != "folder":
        other = _build(found, or_classes)
        if not shapes_differ(tensors, other):
            model, difference = other, ""
    if difference:
        error = CheckpointError(
            f"{weights} is not of {name}: {difference}; give weights of that network, in its names."
        )
        if hint:
            error.add_note(hint)
        raise error
    check_values(tensors, model.state_dict())
    model.load_state_dict(tensors)
    return model.eval()


def _build(found: Named, num_classes: int | None) -> nn.Module:
    return from_pretrained(found.name) if found.library == "folder" else build(found, num_classes=num_classes)
