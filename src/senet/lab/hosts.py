"""Networks that the command line is given by name, with weights of their own names."""

from pathlib import Path

from torch import nn

<<<<<<< HEAD
from senet.errors import CheckpointError, UsageError
from senet.networks import LIBRARIES, Named, from_pretrained, named
from senet.networks.building import build
from senet.weights.difference import shapes_differ
=======
from senet.create import create_model
from senet.errors import CheckpointError, SpecError, UsageError, not_installed, unknown
from senet.models import list_models
from senet.weights.pretrained import from_pretrained
>>>>>>> 3114537 (Name the missing package and its extra by one function)
from senet.weights.safe import read_weights
from senet.weights.source import locate
from senet.weights.values import check_values

__all__ = ["LIBRARIES", "Named", "host", "named"]


def host(
    name: str, *, weights: Path | None = None, num_classes: int | None = None, or_classes: int | None = None
) -> nn.Module:
    """Build a network and load its own weights, strictly; nothing is fetched by the name.

    Args:
        name: see `named`.
        weights: file with the network's state dict, in its own names; None leaves fresh weights, a folder its own.
        num_classes: outputs; None stands for the network's own number.
        or_classes: outputs to try where the file does not fit the network with the number before.

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
    tensors = read_weights(locate(weights))
    difference = shapes_differ(tensors, model)
    if difference and or_classes is not None and found.library != "folder":
        other = _build(found, or_classes)
        if not shapes_differ(tensors, other):
            model, difference = other, ""
    if difference:
        raise CheckpointError(f"{weights} is not of {name}: {difference}; give weights of that network, in its names.")
    check_values(tensors, model.state_dict())
    model.load_state_dict(tensors)
    return model.eval()


<<<<<<< HEAD
=======
def _names(library: str, *, asked: bool) -> Collection[str]:
    """Give the networks of a library; none if it is not installed and was not asked for."""
    if library == "senet":
        return list_models()
    try:
        if library == "timm":
            import timm

            return set(timm.list_models())
        from torchvision import models

        return set(models.list_models(module=models))  # not those that detect, segment or take films
    except (ImportError, RuntimeError):  # RuntimeError: a build of torchvision that does not fit torch's
        if asked:
            raise not_installed(f"a network of {library}", library, extra=LIBRARIES[library]) from None
        return ()


def _unknown(name: str, library: str, short: str, known: Mapping[str, Collection[str]]) -> SpecError:
    near = get_close_matches(short, [one for names in known.values() for one in names], n=3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    if library:
        where = "`senet models` lists ours" if library == "senet" else "choose a name of its list_models()"
        return SpecError(f"{library} has no network {short!r}; {where}.{hint}")
    return SpecError(
        f"MODEL = {name!r} is known neither here nor to timm or torchvision, as far as they are installed; "
        f"`senet models` lists ours.{hint}"
    )


>>>>>>> 3114537 (Name the missing package and its extra by one function)
def _build(found: Named, num_classes: int | None) -> nn.Module:
    return from_pretrained(found.name) if found.library == "folder" else build(found, num_classes=num_classes)
