"""The weights that a network starts from: of a file, or a library's own, fitted to other classes and channels."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from torch import Tensor, nn

from senet.errors import CheckpointError, SpecError, reason_of
from senet.networks.ends import first_convolution
from senet.networks.names import Named, named
from senet.weights.difference import shapes_differ
from senet.weights.numbers import load_checked
from senet.weights.prefix import without_prefix
from senet.weights.safe import read_weights
from senet.weights.source import hub_calls, locate

__all__ = [
    "Fitted",
    "ensure_alike",
    "fit",
    "for_channels",
    "library_weights",
    "load_fitted",
    "own_weights",
    "read_start",
]

AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
"""Tensors of further classifiers, which torchvision's networks only use in training."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Weights fitted to a network.

    Attributes:
        tensors: by the names of the network, all of them.
        fresh: names of the parameters that keep the network's own, fresh values.
        notes: what was changed, for the report.
    """

    tensors: Mapping[str, Tensor]
    fresh: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def read_start(weights: str | Path) -> dict[str, Tensor]:
    """Read weights to start from.

    Args:
        weights: a file, a folder, `hf:owner/name`, or a library's own weights, `timm:NAME.TAG` or
            `torchvision:NAME.TAG`.

    Raises:
        CheckpointError: if they cannot be found, fetched or read.
    """
    text = str(weights)
    if text.startswith(("timm:", "torchvision:")):
        return library_weights(named(text))
    return read_weights(locate(weights))


def library_weights(found: Named) -> dict[str, Tensor]:
    """Fetch the weights that a library has for a network, or take them from its cache.

    Args:
        found: a network of timm or torchvision with a tag, e.g. `resnet50.a1_in1k`.

    Raises:
        CheckpointError: if the library has none, or the network does not allow to fetch them.
    """
    network, _, tag = found.name.partition(".")
    try:
        if found.library == "timm":
            import timm

            with hub_calls():
                model: nn.Module = timm.create_model(found.name, pretrained=True)
            return dict(model.state_dict())
        from torchvision import models

        with redirect_stdout(sys.stderr):  # where torch announces the download
            return dict(models.get_model_weights(network)[tag].get_state_dict(progress=False, check_hash=True))
    except Exception as error:  # a proxy's reply, a full disk, no weights there, the Hub's own errors
        reason = reason_of(error)
        raise CheckpointError(
            f"the weights {found} cannot be fetched: {reason}; check the network connection, or pass a file with "
            "--weights FILE."
        ) from error


def fit(tensors: Mapping[str, Tensor], model: nn.Module, *, num_classes: int | None = None) -> Fitted:
    """Fit weights to a network with other classes or input channels; everything else must match.

    A classifier with another number of classes keeps its fresh values. The first convolution is summed over its
    channels for a grey image, and repeated for other numbers, as timm does it.

    Args:
        tensors: the weights by their names in the file.
        model: the network.
        num_classes: outputs of the network that was asked for; None keeps the classifier strict.

    Returns:
        The tensors, which may still differ from the network: see `load_fitted`.
    """
    own = model.state_dict()
    found = without_prefix(tensors, own)
    surplus = [name for name in found if name not in own and name.startswith(AUXILIARY)]
    notes = tuple(f"the weights have a further classifier, {n.partition('.')[0]}: it is left out" for n in surplus[:1])
    found = {name: value for name, value in found.items() if name not in surplus}
    first = first_convolution(model)
    if first is not None and (name := f"{first[0]}.weight") in found:
        given, wanted = found[name], own[name]
        if given.ndim == wanted.ndim and given.shape[1] != wanted.shape[1] and first[1].groups == 1:
            found[name] = for_channels(given, wanted.shape[1])
            how = "summed" if wanted.shape[1] == 1 else "repeated"
            notes += (f"{name} takes {given.shape[1]} channels in the weights: {how} for {wanted.shape[1]}",)
    fresh: set[str] = set()
    if num_classes is not None:
        for module in _classifiers(found, model, num_classes):
            names = [name for name in own if name.rpartition(".")[0] == module]
            before = found[f"{module}.weight"].shape[0] if f"{module}.weight" in found else 0
            said = f"has {before} outputs in the weights" if before else "is not in the weights"
            notes += (f"the classifier {module} {said}: it was replaced by a fresh one with {num_classes} outputs",)
            fresh |= set(names)
            found = {**found, **{name: own[name] for name in names}}
    return Fitted(tensors=found, fresh=frozenset(fresh), notes=notes)


def ensure_alike(tensors: Mapping[str, Tensor], model: nn.Module, *, source: object, where: str) -> None:
    """Refuse weights of another network by their names, before anything is built in memory.

    Raises:
        CheckpointError: if the file has less than half of the names of the network.
    """
    own = model.state_dict().keys()
    known = own & without_prefix(tensors, own).keys()
    if 2 * len(known) < len(own):
        raise CheckpointError(
            f"{source} does not fit {where}: it contains {len(known)} of the network's {len(own)} tensors, and "
            f"others such as {next(iter(tensors), 'none')}; use weights of that network with its tensor names."
        )


def load_fitted(model: nn.Module, fitted: Fitted, *, source: object, where: str) -> None:
    """Load fitted weights strictly.

    Raises:
        CheckpointError: if a tensor is missing, superfluous, of another shape, or holds values that are not valid.
    """
    if difference := shapes_differ(fitted.tensors, model):
        raise CheckpointError(
            f"{source} does not fit {where}: {difference}; use weights of that network with its tensor names."
        )
    load_checked(model, fitted.tensors)


def _classifiers(tensors: Mapping[str, Tensor], model: nn.Module, num_classes: int) -> list[str]:
    """Return the layers that differ from the weights in nothing but the number of outputs, which are the classes."""
    found = []
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        single = isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and set(module.kernel_size) == {1})
        if not single or not isinstance(weight, Tensor) or len(weight) != num_classes:
            continue
        given = tensors.get(f"{name}.weight")
        absent = given is None and not any(key.startswith(f"{name}.") for key in tensors)
        if absent or (given is not None and len(given) != num_classes and given.shape[1:] == weight.shape[1:]):
            found.append(name)
    return found


def for_channels(weight: Tensor, channels: int) -> Tensor:
    """Turn the weight of a first convolution into one for another number of channels."""
    if channels == 1:
        return weight.float().sum(1, keepdim=True).to(weight.dtype)
    before = weight.shape[1]
    repeated = weight.float().repeat(1, ceil(channels / before), *[1] * (weight.ndim - 2))[:, :channels]
    return (repeated * (before / channels)).to(weight.dtype)


def own_weights(found: Named) -> str:
    """Return the name of the default weights that a library has for a network, `timm:resnet18.a1_in1k`.

    Raises:
        SpecError: if the network is not of a library, or the library has no weights for it.
    """
    network, _, told = found.name.partition(".")
    tag: str | None = told or None
    if not found.is_foreign:
        raise SpecError(f"{found} has no pretrained weights of its own; give --weights FILE.")
    if tag:
        return str(found)
    if found.library == "timm":
        from timm.models import get_pretrained_cfg

        config = get_pretrained_cfg(network)
        tag = str(config.tag) if config is not None and config.has_weights else None
    else:
        from torchvision import models

        tag = getattr(getattr(models.get_model_weights(network), "DEFAULT", None), "name", None)
    if tag is None:
        raise SpecError(f"{found.library} has no pretrained weights for {network}; give --weights FILE.")
    return f"{found.library}:{network}.{tag}".removesuffix(".")
