"""Squeeze operators: reduce a map to a descriptor that broadcasts against it.

Letters in shapes: n images, c channels, *s sizes of the map, *t ones.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["SQUEEZES", "avg", "keep", "maximum"]


def avg(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
    """Average every channel over its positions, in float32 if the map has half precision.

    A half-precision sum over a large map may overflow although its mean does not.

    Args:
        x: the map.
        dims: its spatial dimensions; None reads them, and the dtype, from the map. torch.fx cannot read either, so with
            `dims` torch chooses the dtype of the sum.

    Source:
        Hu et al., arXiv:1709.01507, Eq. 2.
    """
    if dims is not None:
        return x.mean(_positions(x, dims), keepdim=True)
    wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    return x.mean(dim=_positions(x, dims), keepdim=True, dtype=wide)


def maximum(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
    """Return the maximum of every channel; tied positions share the gradient.

    Args:
        x: the map.
        dims: its spatial dimensions; None reads them from its shape.

    Source:
        Hu et al., arXiv:1709.01507, the table of squeeze operators.
    """
    return x.amax(dim=_positions(x, dims), keepdim=True)


def keep(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *s"]:
    """Return the map unchanged: the excitation then acts at every position.

    Args:
        x: the map.
        dims: unused; all squeezes have the same signature.

    Source:
        Hu et al., arXiv:1709.01507, NoSqueeze.
    """
    return x


def _positions(x: Tensor, dims: int | None) -> tuple[int, ...]:
    return tuple(range(2, x.ndim if dims is None else dims + 2))


SQUEEZES: Mapping[str, Callable[..., Tensor]] = {"avg": avg, "max": maximum, "none": keep}
