"""The excitation of a block on matrices: from the moments of a map to the weights of its channels.

Letters in shapes: n images, c and d channels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.fast.listeners import is_plain
from senet.nn import SqueezeExcite
from senet.nn.block import without_autocast
from senet.nn.squeeze import EPSILON, SQUEEZES

__all__ = ["MOMENTS", "Excite", "FromMoments", "excite_of"]

Matrix = Float[Tensor, "n c"]


class FromMoments(NamedTuple):
    """A squeeze as a function of the moments of every image and channel.

    Attributes:
        compute: maps mean, biased variance and the number of positions to the descriptor.
        spread: whether it reads the variance; the variance is None otherwise.
    """

    compute: Callable[[Matrix, Matrix | None, int], Matrix]
    spread: bool


def _std(mean: Matrix, variance: Matrix | None, positions: int) -> Matrix:
    assert variance is not None
    return (variance + EPSILON).sqrt()


def _l2(mean: Matrix, variance: Matrix | None, positions: int) -> Matrix:
    assert variance is not None
    return (positions * (variance + mean.square()) + EPSILON).sqrt()


def _avg_std(mean: Matrix, variance: Matrix | None, positions: int) -> Float[Tensor, "n cc"]:
    return torch.stack((mean, _std(mean, variance, positions)), 2).flatten(1)


MOMENTS: Mapping[str, FromMoments] = {
    "avg": FromMoments(lambda mean, variance, positions: mean, spread=False),
    "std": FromMoments(_std, spread=True),
    "l2": FromMoments(_l2, spread=True),
    "avg_std": FromMoments(_avg_std, spread=True),
}
"""Squeezes, by their names in `senet.nn.squeeze`, that need no pass of their own over a normalised map."""


@dataclass(frozen=True, eq=False)
class Excite:
    """The weights of a block as a function of the moments of the map that it scales.

    Attributes:
        block: the block, whose own layers run.
        squeeze: its squeeze.
    """

    block: SqueezeExcite
    squeeze: FromMoments

    def __call__(self, mean: Matrix, variance: Matrix | None = None, positions: int = 0) -> Matrix:
        """Return the channel weights.

        Args:
            mean: mean of every image and channel.
            variance: biased variance; required if `squeeze.spread`.
            positions: positions of an image.
        """
        block = self.block
        z = self.squeeze.compute(mean, variance, positions)
        parameter = next(block.parameters(), None)
        w = z if parameter is None else z.to(parameter.dtype)
        with without_autocast(z):
            if block.excitation is not None:  # takes maps, and may return a broadcastable shape
                return block.excite(w[:, :, None, None])[:, :, 0, 0].to(z.dtype).expand_as(z)
            return block.excite(w, layer=dense).to(z.dtype)


def excite_of(block: nn.Module | None, *, spread: bool = False) -> Excite | None:
    """Return the function from the moments of a map to the weights of a block; None if the block needs the whole map.

    Args:
        block: a module or None.
        spread: whether the caller can compute the variance; squeezes that need it are otherwise not supported.
    """
    if type(block) is not SqueezeExcite or block.num_map_layers or block.adds or not is_plain(block):
        return None
    name = block.spec.squeeze
    if not isinstance(name, str) or name not in MOMENTS or block.squeeze is not SQUEEZES[name]:  # replaced later
        return None
    squeeze = MOMENTS[name]
    return None if squeeze.spread and not spread else Excite(block, squeeze)


def dense(layer: nn.Module, z: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
    """Apply a 1x1 convolution to a descriptor as a matrix product, which is faster for a single position."""
    if type(layer) is nn.Conv2d and is_plain(layer):
        return F.linear(z, layer.weight.flatten(1), layer.bias)
    mapped: Tensor = layer(z[:, :, None, None])
    return mapped[:, :, 0, 0]
