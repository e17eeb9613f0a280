"""Squeezes: from a map to a descriptor that still broadcasts against it. Letters: n images, c channels, s sizes."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["SQUEEZES", "avg", "keep", "maximum"]


def avg(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
    """Average every channel over its positions, in float32 where the map is of half precision.

    A half-precision sum over a large map overflows where its mean does not, so the accumulation is wider.

    Args:
        x: the map.
        dims: its spatial dimensions; None asks it. A tracer cannot ask, nor for the type: torch then chooses that.

    Source:
        Hu et al., arXiv:1709.01507, Eq. 2.
    """
    if dims is not None:
        return x.mean(_positions(x, dims), keepdim=True)
    wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    return x.mean(dim=_positions(x, dims), keepdim=True, dtype=wide)


def maximum(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
    """Take the largest value of every channel; positions that tie share the gradient.

    Args:
        x: the map.
        dims: its spatial dimensions; None asks it.

    Source:
        Hu et al., arXiv:1709.01507, the table of squeeze operators.
    """
    return x.amax(dim=_positions(x, dims), keepdim=True)


def keep(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *s"]:
    """Leave the map as it is: the excitation then acts at every position.

    Args:
        x: the map.
        dims: its spatial dimensions, which do not matter here.

    Source:
        Hu et al., arXiv:1709.01507, NoSqueeze.
    """
    return x


def _positions(x: Tensor, dims: int | None) -> tuple[int, ...]:
    return tuple(range(2, x.ndim if dims is None else dims + 2))


SQUEEZES: Mapping[str, Callable[..., Tensor]] = {"avg": avg, "max": maximum, "none": keep}
