"""One strict bridge: every tensor finds its place in both directions, or nothing is loaded.

An origin is one function, from the name of our tensor to theirs, and a few facts; the way back is the same table
read backwards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from senet.calls import by_name
from senet.errors import CheckpointError, SpecError, unknown
from senet.nn import SqueezeExcite
from senet.weights import cadene, kth, mmpretrain, monai, moskomule, pytorchcv, timm, torchvision
from senet.weights.numbers import check_values
from senet.weights.origin import Origin
from senet.weights.reading import check

__all__ = ["ORIGINS", "Loaded", "load_weights", "state_dict_as"]

SHOWN = 5  # names of each kind that an error lists


def _same_name(key: str, model: nn.Module) -> str:
    return key


ORIGINS: Mapping[str, Origin] = {
    "senet": Origin(their_name=_same_name, checked=False),
    "cadene": cadene.ORIGIN,
    "kth": Origin(their_name=kth.their_name),
    "mmpretrain": mmpretrain.ORIGIN,
    "monai": monai.ORIGIN,
    "moskomule": moskomule.ORIGIN,
    "pytorchcv": pytorchcv.ORIGIN,
    "pytorchcv.b": pytorchcv.ORIGIN_B,
    "timm": timm.ORIGIN,
    "torchvision": torchvision.ORIGIN,
}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What `load_weights` did.

    Attributes:
        tensors: tensors that were copied.
        zeros: our names of SE biases that the weights do not have; they are exactly zero, which changes nothing.
        counters: our names of `num_batches_tracked` that the weights do not have; they are left as they are.
        extras: their names of tensors that are no part of the network, such as an auxiliary head; not used.
    """

    tensors: int
    zeros: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in a line."""
        said = f"{self.tensors} tensors loaded"
        if self.zeros:
            said += f", {len(self.zeros)} SE biases set to zero: the weights have none"
        if self.counters:
            said += f", {len(self.counters)} batch counters left alone: the weights have none"
        if self.extras:
            said += f", not used {_some(self.extras)}"
        return said


@by_name
def load_weights(model: nn.Module, state: Mapping[str, Tensor], *, origin: str = "senet") -> Loaded:
    """Load weights by the names of the system they come from; all tensors fit, or nothing is changed.

    Names and shapes do not tell everything: an origin also says how its first pool treats the border and which
    convolution strides, and a network that differs is refused with the name of the one to build.

    Args:
        model: a network of the zoo, changed in place.
        state: tensors by their names there; 1x1 convolutions may be linear maps.
        origin: a name of `ORIGINS`.

    Returns:
        What was loaded, filled in and not used.

    Raises:
        SpecError: if the origin is not known, or the arguments are no network and no mapping.
        CheckpointError: if a tensor is missing, left over or of another shape (the first few of each are named), or
            if the network would give other numbers than the origin's with these weights, or if a tensor holds a NaN,
            an infinity, a negative variance or another kind of number.
    """
    if not isinstance(model, nn.Module):
        raise SpecError(f"model = {model!r} is no network; give one of create_model.")
    if not isinstance(state, Mapping):
        raise SpecError(
            f"state = {state!r:.80} is no mapping of names to tensors; for a file use "
            "create_model(name, weights=path), or give safetensors.torch.load_file(path)."
        )
    names = _names(model, origin)
    check(model, ORIGINS[origin], name=origin)
    own = model.state_dict()
    found, zeros, counters, wrong = {}, [], [], _Wrong()
    for key, theirs in names.items():
        if theirs in state:
            fitted = _fit(state[theirs], own[key].shape)
            if fitted is None:
                wrong.misshapen[theirs] = f"{tuple(state[theirs].shape)} for {key} {tuple(own[key].shape)}"
            else:
                found[key] = fitted
        elif key.endswith("num_batches_tracked"):
            counters.append(key)
        elif _se_tensor(key, model) == "bias":
            zeros.append(key)
        else:
            wrong.missing.append(theirs)
    if any(_se_tensor(key, model) == "bias" for key in found):  # some have one: that the others do not is damage
        wrong.missing += [names[key] for key in zeros]
    known = set(names.values())
    surplus = [key for key in state if key not in known]
    extras = [key for key in surplus if any(fnmatchcase(key, pattern) for pattern in ORIGINS[origin].extras)]
    wrong.left = [key for key in surplus if key not in extras]
    if wrong:
        raise CheckpointError(wrong.sentence(origin, _advice(wrong, model, names, ORIGINS[origin])))
    if any(value.is_meta for value in own.values()):
        raise CheckpointError("this network has no memory (device 'meta'), nothing can be loaded; call to_empty first.")
    check_values(found, own, names=names)
    with torch.no_grad():
        for key, value in found.items():
            own[key].copy_(value)
        for key in zeros:
            own[key].zero_()
    return Loaded(tensors=len(found), zeros=tuple(zeros), counters=tuple(counters), extras=tuple(extras))


def state_dict_as(model: nn.Module, origin: str) -> dict[str, Tensor]:
    """Give the weights of a network under the names and in the shapes of another system: `load_weights` backwards.

    Args:
        model: a network of the zoo.
        origin: a name of `ORIGINS`.

    Raises:
        SpecError: if the origin is not known.
        CheckpointError: if the origin has no such network, would compute other numbers, or has no place for biases
            of blocks that are not zero.
    """
    names = _names(model, origin)
    system = ORIGINS[origin]
    check(model, system, name=origin)
    state: dict[str, Tensor] = {}
    for key, value in model.state_dict().items():
        kind = _se_tensor(key, model)
        if kind == "bias" and not system.biases:
            if value.any():
                raise CheckpointError(f"{key} is not zero, and the blocks of {origin!r} have no biases; train without.")
            continue
        state[names[key]] = value.flatten(1) if kind == "weight" and system.linear else value
    return state


def _names(model: nn.Module, origin: str) -> dict[str, str]:
    if origin not in ORIGINS:
        raise unknown("origin", origin, ORIGINS)
    names = {}
    for key in model.state_dict():
        try:
            names[key] = ORIGINS[origin].their_name(key, model)
        except (KeyError, AttributeError):
            raise CheckpointError(
                f"origin {origin!r} has no name for {key}: it has no network like this; choose another of either."
            ) from None
    assert len(set(names.values())) == len(names), "an origin gives two tensors one name"
    return names


def _advice(wrong: "_Wrong", model: nn.Module, names: Mapping[str, str], origin: Origin) -> str:
    names_wrong = {*wrong.missing, *wrong.left, *wrong.misshapen}
    if names_wrong <= {origin.their_name(f"fc.{tensor}", model) for tensor in ("weight", "bias")}:
        return "build it with the classes of the weights, load, then call reset_classifier"
    if names_wrong <= {theirs for key, theirs in names.items() if _se_tensor(key, model)}:
        return "check the reduction of the blocks and its rounding, which timm and mmpretrain do to multiples of 8"
    return "check network, blocks and origin"


def _fit(value: Tensor, shape: torch.Size) -> Tensor | None:
    """Reshape where only sizes of 1 at the end differ: a linear map is a 1x1 convolution."""
    if value.shape == shape:
        return value
    short, long = sorted((tuple(value.shape), tuple(shape)), key=len)
    same = long[: len(short)] == short and set(long[len(short) :]) == {1} and len(short) > 1
    return value.reshape(shape) if same else None


def _se_tensor(key: str, model: nn.Module) -> str:
    """Say whether a tensor is a `weight` or a `bias` in an SE block; empty if it is outside."""
    module, _, name = key.rpartition(".")
    return name if isinstance(model.get_submodule(module.rpartition(".")[0]), SqueezeExcite) else ""


@dataclass
class _Wrong:
    """What does not fit, by their names."""

    missing: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    misshapen: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.missing or self.left or self.misshapen)

    def sentence(self, origin: str, advice: str) -> str:
        parts = []
        if self.missing:
            parts.append(f"missing {_some(_with_nearest(self.missing, self.left))}")
        if self.left:
            parts.append(f"left over {_some(self.left)}")
        if self.misshapen:
            parts.append(f"of another shape {_some(f'{name} {shapes}' for name, shapes in self.misshapen.items())}")
        return f"the weights do not fit under origin {origin!r}: {'; '.join(parts)}. Nothing was loaded; {advice}."


def _with_nearest(missing: list[str], left: list[str]) -> Iterable[str]:
    for name in missing[:SHOWN]:
        close = get_close_matches(name, left, n=1, cutoff=0.8)
        yield f"{name} (nearest: {close[0]})" if close else name
    yield from missing[SHOWN:]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return f"{len(listed)}: " + ", ".join(listed[:SHOWN]) + more
