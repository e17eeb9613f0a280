"""Weights that a user-supplied builder loads itself: they are equal for every seed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from senet.errors import SpecError
from senet.networks.building import Builder, build
from senet.networks.names import Named, named
from senet.networks.repeatable import same

__all__ = ["BuiltWeights", "built_weights", "comes_trained", "weights_of"]

LEAST = 0.5  # share of the values of kernels and matrices that are the same for all seeds
SEEDS = (0, 1)


@dataclass(frozen=True, kw_only=True)
class BuiltWeights:
    """What the weights of a network owe to the seed.

    Attributes:
        loaded: whether most values of kernels and matrices are the same for all seeds, so that they were loaded.
        fresh: names of the parameters of modules with weights that depend on the seed, such as a new classifier.
        digest: hash of all other values; empty unless they were loaded.
    """

    loaded: bool
    fresh: frozenset[str]
    digest: str


def built_weights(make: Callable[[], nn.Module], name: str) -> BuiltWeights:
    """Build a network with two seeds and compare the weights.

    Args:
        make: builds the network.
        name: of the builder, for the error.

    Raises:
        SpecError: if the function sets the seed itself.
    """
    with torch.random.fork_rng(devices=[]):
        networks, states = [], []
        for seed in SEEDS:
            torch.manual_seed(seed)
            networks.append(make())
            states.append(torch.get_rng_state())
    if torch.equal(*states):
        raise SpecError(
            f"{name} sets the seed of torch's random numbers, so that all seeds would start from the same weights; "
            "leave that out of the function: every run sets its own seed before the network is built."
        )
    first, second = (dict(network.named_parameters()) for network in networks)
    drawn = {key for key, value in first.items() if key not in second or not same(value, second[key])}
    modules = {key.rpartition(".")[0] for key in drawn}
    kernels = {key: value for key, value in first.items() if value.ndim >= 2 and not (is_lazy(value) or value.is_meta)}
    loaded = sum(value.numel() for key, value in kernels.items() if key not in drawn and not _is_pattern(value))
    if loaded <= LEAST * sum(value.numel() for value in kernels.values()):
        return BuiltWeights(loaded=False, fresh=frozenset(), digest="")
    fresh = frozenset(key for key in first if key.rpartition(".")[0] in modules)
    return BuiltWeights(loaded=True, fresh=fresh, digest=_digest(networks[0], fresh))


def weights_of(found: Named, *, version: str = "") -> BuiltWeights:
    """Return what the weights of the network of a user's function owe to the seed; other networks load none.

    Args:
        found: any network.
        version: hash of the source of the function; an equal one is not built again.

    Raises:
        SpecError: if the network cannot be built, or the function sets the seed itself.
    """
    if found.library != "builder":
        return BuiltWeights(loaded=False, fresh=frozenset(), digest="")
    return _weights_of(found, version) if version else built_weights(partial(build, found), str(found))


def comes_trained(model: str | Builder, name: str) -> bool:
    """Return whether a network has trained weights as it is built: those of its folder, or that its function loads.

    Args:
        model: a name as for `senet.networks.create`, or a function that returns a network.
        name: of the function, for the error.

    Raises:
        SpecError: if the network cannot be built, or the function sets the seed itself.
    """
    if not isinstance(model, str):
        return built_weights(model, name).loaded
    return (found := named(model)).library == "folder" or weights_of(found).loaded


@lru_cache(maxsize=16)
def _weights_of(found: Named, version: str) -> BuiltWeights:
    del version
    return built_weights(partial(build, found), str(found))


def _is_pattern(value: Tensor) -> bool:
    """Return whether values are one number or two, as an initialisation by constants, `eye_` or `dirac_` sets them."""
    least, most = value.aminmax()
    return bool(((value == least) | (value == most)).all())


def _digest(model: nn.Module, fresh: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if name not in fresh and not value.is_meta:
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
