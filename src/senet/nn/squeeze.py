"""Squeezes: from a map to a descriptor that still broadcasts against it. Letters: n images, c channels, s sizes."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["SQUEEZES", "avg", "keep", "maximum"]


def avg(x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *t"]:
    """Average every channel over its positions, in float32 where the map is of half precision.

    A half-precision sum over a large map overflows where its mean does not, so the accumulation is wider.

    Source:
        Hu et al., arXiv:1709.01507, Eq. 2.
    """
    wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True, dtype=wide)


def maximum(x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *t"]:
    """Take the largest value of every channel; positions that tie share the gradient.

    Source:
        Hu et al., arXiv:1709.01507, the table of squeeze operators.
    """
    return x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)


def keep(x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *s"]:
    """Leave the map as it is: the excitation then acts at every position.

    Source:
        Hu et al., arXiv:1709.01507, NoSqueeze.
    """
    return x


SQUEEZES: Mapping[str, Callable[[Tensor], Tensor]] = {"avg": avg, "max": maximum, "none": keep}
