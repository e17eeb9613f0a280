"""Squeeze operators: reduce a map to a descriptor that broadcasts against it.

Letters in shapes: n images, c channels, *s sizes of the map, *t ones.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["EPSILON", "SQUEEZES", "avg", "avg_std", "keep", "l2", "maximum", "positions", "std", "wide"]

EPSILON = 1e-5  # added under the roots, whose slope at 0 is infinite
HALF = (torch.float16, torch.bfloat16)


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
        return x.mean(positions(x, dims), keepdim=True)
    return x.mean(dim=positions(x, dims), keepdim=True, dtype=torch.float32 if x.dtype in HALF else x.dtype)


def maximum(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
    """Return the maximum of every channel; tied positions share the gradient.

    Args:
        x: the map.
        dims: its spatial dimensions; None reads them from its shape.

    Source:
        Hu et al., arXiv:1709.01507, the table of squeeze operators.
    """
    return x.amax(dim=positions(x, dims), keepdim=True)


def std(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
    """Return the standard deviation of every channel over its positions, `sqrt(mean((x - mean)^2) + 1e-5)`.

    Args:
        x: the map.
        dims: its spatial dimensions; None reads them from its shape.

    Source:
        Lee et al., arXiv:1903.10829, Eq. 2.
    """
    x = wide(x)
    return ((x - avg(x, dims=dims)).square().mean(positions(x, dims), keepdim=True) + EPSILON).sqrt()


def l2(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
    """Return the Euclidean norm of every channel, `sqrt(sum(x^2) + 1e-5)`.

    Args:
        x: the map.
        dims: its spatial dimensions; None reads them from its shape.

    Source:
        Yang et al., arXiv:1909.11519, Eq. 2.
    """
    x = wide(x)
    return (x.square().sum(positions(x, dims), keepdim=True) + EPSILON).sqrt()


def avg_std(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n cc *t"]:
    """Return the average and the standard deviation of every channel, side by side: `avg[0], std[0], avg[1], ...`.

    Args:
        x: the map.
        dims: its spatial dimensions; None reads them from its shape.

    Source:
        Lee et al., arXiv:1903.10829, Eq. 1-2 (style pooling).
    """
    return torch.stack((avg(x, dims=dims), std(x, dims=dims)), 2).flatten(1, 2)


def keep(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *s"]:
    """Return the map unchanged: the excitation then acts at every position.

    Args:
        x: the map.
        dims: unused; all squeezes have the same signature.

    Source:
        Hu et al., arXiv:1709.01507, NoSqueeze.
    """
    return x


def positions(x: Tensor, dims: int | None) -> tuple[int, ...]:
    """Return the spatial axes of a map; `dims` is their number, None reads it from the shape."""
    return tuple(range(2, x.ndim if dims is None else dims + 2))


def wide(x: Tensor) -> Tensor:
    """Return a tensor of half precision in float32; proxies of torch.fx have no dtype and are returned."""
    return x.float() if isinstance(x, Tensor) and x.dtype in HALF else x


SQUEEZES: Mapping[str, Callable[..., Tensor]] = {
    "avg": avg,
    "max": maximum,
    "std": std,
    "l2": l2,
    "avg_std": avg_std,
    "none": keep,
}
"""Squeezes without parameters; `senet.nn.pooling` has the others."""
