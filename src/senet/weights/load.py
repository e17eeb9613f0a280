"""Strict loading and export of weights under the tensor names of other libraries.

An origin is a function from the tensor names of senet to its own, with a few conventions; loading and export use the
same function. Either all tensors match, or nothing is loaded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from senet.calls import by_name
from senet.errors import CheckpointError, SpecError, unknown
from senet.known_names import Origins
from senet.nn import SqueezeExcite
from senet.printed import Printed
from senet.text import listed
from senet.weights.numbers import check_values
from senet.weights.origin import Origin
from senet.weights.origins import ORIGINS
from senet.weights.reading import check

__all__ = ["ORIGINS", "Loaded", "load_weights", "state_dict_as"]

SHOWN = 5  # names of each kind in an error message


@dataclass(frozen=True, kw_only=True, repr=False)
class Loaded(Printed):
    """What `load_weights` loaded.

    Attributes:
        tensors: number of copied tensors.
        zeros: SE biases of the network that the weights do not contain; set to zero.
        counters: `num_batches_tracked` of the network that the weights do not contain; unchanged.
        extras: unused tensors of the weights that do not belong to the network, such as an auxiliary head.
    """

    tensors: int
    zeros: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Describe it in one line."""
        said = f"{self.tensors} tensors loaded"
        if self.zeros:
            said += f", {len(self.zeros)} SE biases set to zero (not in the weights)"
        if self.counters:
            said += f", {len(self.counters)} batch counters unchanged (not in the weights)"
        if self.extras:
            said += f", unused {_some(self.extras)}"
        return said


@by_name
def load_weights(model: nn.Module, state: Mapping[str, Tensor], *, origin: Origins = "senet") -> Loaded:
    """Load weights of another library into a network; if a tensor does not match, nothing is loaded.

    Matching names and shapes are not sufficient: an origin also states the padding of its first pool and which
    convolution has the stride. A network with other conventions is rejected with the name of the one to build.

    Args:
        model: a network of the zoo, changed in place; with the origin `timm` also a ResNet or VoVNet of timm with
            inserted blocks.
        state: tensors by their names in the origin; 1x1 convolutions may be stored as linear layers.
        origin: a name of `ORIGINS`.

    Returns:
        What was loaded, set to zero and not used.

    Raises:
        SpecError: if the origin is not known, or an argument has the wrong type.
        CheckpointError: if tensors are missing, unexpected or of another shape (the first few of each are named), if
            the network would compute other outputs than the origin's with these weights, or if a tensor holds a NaN,
            an infinity, a negative variance or another kind of number.
    """
    if not isinstance(model, nn.Module):
        raise SpecError(f"model = {model!r} is not a torch.nn.Module; pass a network from create_model.")
    if not isinstance(state, Mapping):
        raise SpecError(
            f"state = {state!r:.80} is not a mapping of names to tensors; for a file use "
            "create_model(name, weights=path), or pass safetensors.torch.load_file(path)."
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
    if any(_se_tensor(key, model) == "bias" for key in found):  # if only some biases are present, the file is damaged
        wrong.missing += [names[key] for key in zeros]
    known = set(names.values())
    surplus = [key for key in state if key not in known]
    extras = [key for key in surplus if any(fnmatchcase(key, pattern) for pattern in ORIGINS[origin].extras)]
    wrong.left = [key for key in surplus if key not in extras]
    if wrong:
        raise CheckpointError(wrong.sentence(origin, _advice(wrong, model, names, ORIGINS[origin])))
    if any(value.is_meta for value in own.values()):
        raise CheckpointError("cannot load weights into a network on the device 'meta'; call to_empty first.")
    check_values(found, own, names=names)
    with torch.no_grad():
        for key, value in found.items():
            own[key].copy_(value)
        for key in zeros:
            own[key].zero_()
    return Loaded(tensors=len(found), zeros=tuple(zeros), counters=tuple(counters), extras=tuple(extras))


def state_dict_as(model: nn.Module, origin: Origins) -> dict[str, Tensor]:
    """Return the weights of a network with the names and shapes of another library; the inverse of `load_weights`.

    Args:
        model: a network of the zoo.
        origin: a name of `ORIGINS`.

    Returns:
        Tensors by their names in the origin.

    Raises:
        SpecError: if the origin is not known.
        CheckpointError: if the origin has no such network, would compute other outputs, or its blocks have no biases
            and those of the network are not zero.
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
                f"origin {origin!r} has no name for {key}; choose another origin or another network."
            ) from None
    assert len(set(names.values())) == len(names), "an origin maps two tensors to the same name"
    return names


def _advice(wrong: "_Wrong", model: nn.Module, names: Mapping[str, str], origin: Origin) -> str:
    names_wrong = {*wrong.missing, *wrong.left, *wrong.misshapen}
    if names_wrong <= {origin.their_name(f"fc.{tensor}", model) for tensor in ("weight", "bias")}:
        return "build the network with the number of classes of the weights, load, then call reset_classifier"
    blocks = {theirs: kind for key, theirs in names.items() if (kind := _se_tensor(key, model))}
    if names_wrong == set(wrong.missing) >= {theirs for theirs, kind in blocks.items() if kind != "bias"} > set():
        return "the weights are of a network without blocks: build it with se=None, --se plain on the command line"
    if not blocks and names_wrong == set(wrong.left):
        return "if these are tensors of blocks, build the network with the same blocks: se=SESpec(...), --se VARIANT"
    if names_wrong <= blocks.keys():
        return "check the reduction of the blocks and its rounding (timm and mmpretrain round to multiples of 8)"
    return "check the network, its blocks and the origin"


def _fit(value: Tensor, shape: torch.Size) -> Tensor | None:
    """Reshape if only trailing sizes of 1 differ (a linear layer and a 1x1 convolution); None if it does not fit."""
    if value.shape == shape:
        return value
    short, long = sorted((tuple(value.shape), tuple(shape)), key=len)
    same = long[: len(short)] == short and set(long[len(short) :]) == {1} and len(short) > 1
    return value.reshape(shape) if same else None


def _se_tensor(key: str, model: nn.Module) -> str:
    """Return `weight` or `bias` for a tensor of an SE block; empty for others."""
    module, _, name = key.rpartition(".")
    return name if isinstance(model.get_submodule(module.rpartition(".")[0]), SqueezeExcite) else ""


@dataclass
class _Wrong:
    """Tensors that do not match, by their names in the origin."""

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
            parts.append(f"unexpected {_some(self.left)}")
        if self.misshapen:
            parts.append(f"wrong shape {_some(f'{name} {shapes}' for name, shapes in self.misshapen.items())}")
        return f"the weights do not match origin {origin!r}: {'; '.join(parts)}. Nothing was loaded; {advice}."


def _with_nearest(missing: list[str], left: list[str]) -> Iterable[str]:
    for name in missing[:SHOWN]:
        close = get_close_matches(name, left, n=1, cutoff=0.8)
        yield f"{name} (nearest: {close[0]})" if close else name
    yield from missing[SHOWN:]


def _some(names: Iterable[str]) -> str:
    known = list(names)
    return f"{len(known)}: {listed(known, SHOWN)}"
