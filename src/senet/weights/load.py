"""One strict bridge: every tensor finds its place in both directions, or nothing is loaded.

An origin is one function, from the name of our tensor to theirs; the way back is the same table read backwards.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from senet.errors import CheckpointError, unknown
from senet.weights import kth

__all__ = ["ORIGINS", "Loaded", "load_weights", "state_dict_as"]

SHOWN = 5  # names of each kind that an error lists


def _same_name(key: str, model: nn.Module) -> str:
    return key


ORIGINS: Mapping[str, Callable[[str, nn.Module], str]] = {
    "senet": _same_name,
    "kth": kth.their_name,
}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What `load_weights` did.

    Attributes:
        tensors: tensors that were copied.
        zeros: our names of SE biases that the weights do not have; they are exactly zero, which changes nothing.
        counters: our names of `num_batches_tracked` that the weights do not have; they are left as they are.
    """

    tensors: int
    zeros: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in a line."""
        said = f"{self.tensors} tensors loaded"
        if self.zeros:
            said += f", {len(self.zeros)} SE biases set to zero: the weights have none"
        if self.counters:
            said += f", {len(self.counters)} batch counters left alone: the weights have none"
        return said


def load_weights(model: nn.Module, state: Mapping[str, Tensor], *, origin: str = "senet") -> Loaded:
    """Load weights by the names of the system they come from; all tensors fit, or nothing is changed.

    Args:
        model: a network of the zoo, changed in place.
        state: tensors by their names there; 1x1 convolutions may be linear maps.
        origin: a name of `ORIGINS`.

    Returns:
        What was loaded and what was filled in.

    Raises:
        SpecError: if the origin is not known.
        CheckpointError: if a tensor is missing, left over or of another shape; the first few of each are named.
    """
    names = _names(model, origin)
    own = model.state_dict()
    missing, misshapen, found, zeros, counters = [], [], {}, [], []
    for key, theirs in names.items():
        if theirs in state:
            fitted = _fit(state[theirs], own[key].shape)
            if fitted is None:
                misshapen.append(f"{theirs} {tuple(state[theirs].shape)} for {key} {tuple(own[key].shape)}")
            else:
                found[key] = fitted
        elif key.endswith("num_batches_tracked"):
            counters.append(key)
        elif _is_se_bias(key, model):
            zeros.append(key)
        else:
            missing.append(theirs)
    left = [key for key in state if key not in set(names.values())]
    if missing or misshapen or left:
        raise CheckpointError(_sentence(origin, missing, misshapen, left))
    with torch.no_grad():
        for key, value in found.items():
            own[key].copy_(value)
        for key in zeros:
            own[key].zero_()
    return Loaded(tensors=len(found), zeros=tuple(zeros), counters=tuple(counters))


def state_dict_as(model: nn.Module, origin: str) -> dict[str, Tensor]:
    """Give the weights of a network under the names of another system: the inverse of `load_weights`.

    Args:
        model: a network of the zoo.
        origin: a name of `ORIGINS`.
    """
    own = model.state_dict()
    return {theirs: own[key] for key, theirs in _names(model, origin).items()}


def _names(model: nn.Module, origin: str) -> dict[str, str]:
    if origin not in ORIGINS:
        raise unknown("origin", origin, ORIGINS)
    names = {key: ORIGINS[origin](key, model) for key in model.state_dict()}
    assert len(set(names.values())) == len(names), "an origin gives two tensors one name"
    return names


def _fit(value: Tensor, shape: torch.Size) -> Tensor | None:
    """Reshape where only sizes of 1 at the end differ: a linear map is a 1x1 convolution."""
    if value.shape == shape:
        return value
    short, long = sorted((tuple(value.shape), tuple(shape)), key=len)
    same = long[: len(short)] == short and set(long[len(short) :]) == {1} and len(short) > 1
    return value.reshape(shape) if same else None


def _is_se_bias(key: str, model: nn.Module) -> bool:
    from senet.nn import SqueezeExcite

    module, _, name = key.rpartition(".")
    return name == "bias" and isinstance(model.get_submodule(module.rpartition(".")[0]), SqueezeExcite)


def _sentence(origin: str, missing: list[str], misshapen: list[str], left: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"missing {_some(_with_nearest(missing, left))}")
    if left:
        parts.append(f"left over {_some(left)}")
    if misshapen:
        parts.append(f"of another shape {_some(misshapen)}")
    said = "; ".join(parts)
    return (
        f"the weights do not fit under origin {origin!r}: {said}. Nothing was loaded; check network, blocks and origin."
    )


def _with_nearest(missing: list[str], left: list[str]) -> Iterable[str]:
    for name in missing[:SHOWN]:
        close = get_close_matches(name, left, n=1, cutoff=0.8)
        yield f"{name} (nearest: {close[0]})" if close else name
    yield from missing[SHOWN:]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return f"{len(listed)}: " + ", ".join(listed[:SHOWN]) + more
