"""Check that a user-supplied builder is deterministic: equal seeds give equal weights, in separate networks."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from senet.errors import SpecError

__all__ = ["ensure_repeatable", "same"]

SEED = 0


def ensure_repeatable(make: Callable[[], nn.Module], name: str, *, weights: bool = True) -> None:
    """Build a network twice with one seed and compare.

    Args:
        make: builds the network.
        name: of the builder, for the error.
        weights: also compare the weights; not needed where others are loaded into the network.

    Raises:
        SpecError: if both networks share parameters, or have different ones.
    """
    with torch.random.fork_rng(devices=[]):
        networks = [_seeded(make) for _ in range(2)]
    first, second = (dict(network.named_parameters()) for network in networks)
    if networks[0] is networks[1] or any(first.get(key) is value for key, value in second.items()):
        raise SpecError(
            f"{name} returns the same network at every call, so that a training starts from the weights of the one "
            "before; build a new network in the function."
        )
    if weights and not _equal(first, second):
        raise SpecError(
            f"{name} returns other weights for the same seed, so that designs cannot be paired and runs not be "
            "repeated; draw them from torch's global random numbers, without numpy, random or a generator of its own."
        )


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(SEED)
    return make()


def _equal(first: dict[str, nn.Parameter], second: dict[str, nn.Parameter]) -> bool:
    return first.keys() == second.keys() and all(same(one, second[name]) for name, one in first.items())


def same(one: Tensor, other: Tensor) -> bool:
    """Return whether two parameters have the same values; those without values, lazy or meta, always do."""
    if is_lazy(one) or one.is_meta:
        return True
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
