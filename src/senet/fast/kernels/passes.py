"""The passes over the maps of a fused norm: the interface of all backends, and the reference implementation.

Letters in shapes: n images, c channels, h and w sizes. Matrices (n, c) have the precision of the statistics, float32
for maps of half precision; maps are read and written in their own dtype.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from senet.fast.kernels.rows import combine, gradients

__all__ = ["REFERENCE", "MaybeTensor", "Passes", "spread", "wide"]

MaybeTensor = Tensor | None
Map = Float[Tensor, "n c h w"]
Matrix = Float[Tensor, "n c"]
Rows = Float[Tensor, "... c"]  # a matrix, or one row for all images


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Six passes, each of which reads its maps once, and two computations on matrices between them.

    `relu'` is 1 for positive values, else 0. Coefficients are matrices (n, c), or rows (c) shared by all images.

    Attributes:
        moments: `u` to the mean and the biased variance of every image and channel.
        combine: see `senet.fast.kernels.rows.combine`, without the group.
        gradients: see `senet.fast.kernels.rows.gradients`, without the group.
        apply: `(u, r, a, b, e, post, relu)` to `post relu(a u + b + e r)`; r, e and post may be None.
        rectified_sum: `(u, r, a, b)` to the sum of `relu(a u + b + r)` over positions; r may be None.
        mask: `(dy, y, u, r)` to `g = dy relu'(y)` and the sums of g, g u and g r; g is dy if y is None.
        masked_sums: `(dy, u, a, b, full)` to the sums of `m dy` and `m dy u`, where `m = relu'(a u + b)`; if full, also
            of m and m u.
        finish: `(g, u, A, B, C, D, a, b)` to `m (A g + D) + B u + C`; B, C, D, and a with b may be None.
    """

    moments: Callable[[Tensor], tuple[Tensor, Tensor]]
    combine: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor, int]]
    gradients: Callable[..., tuple[Tensor | None, ...]]
    apply: Callable[..., Tensor]
    rectified_sum: Callable[..., Tensor]
    mask: Callable[..., tuple[Tensor, ...]]
    masked_sums: Callable[..., tuple[Tensor, ...]]
    finish: Callable[..., Tensor]


def wide(x: Tensor) -> Tensor:
    """Return a map in the precision of the statistics: at least float32."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def spread(m: Rows) -> Float[Tensor, "... c 1 1"]:
    """Reshape a matrix or a row so that it broadcasts over a map."""
    return m[..., None, None]


def moments(u: Map) -> tuple[Matrix, Matrix]:
    """Return mean and biased variance over positions."""
    variance, mean = torch.var_mean(wide(u), dim=(2, 3), correction=0)
    return mean, variance


def apply(u: Map, r: Map | None, a: Rows, b: Rows, e: Rows | None, post: Rows | None, relu: bool) -> Map:
    """Return post relu(a u + b + e r)."""
    x = spread(a) * wide(u) + spread(b)
    if r is not None:
        x = x + (wide(r) if e is None else spread(e) * wide(r))
    if relu:
        x = torch.relu(x)
    if post is not None:
        x = x * spread(post)
    return x.to(u.dtype)


def rectified_sum(u: Map, r: Map | None, a: Rows, b: Rows) -> Matrix:
    """Sum relu(a u + b + r) over positions."""
    x = spread(a) * wide(u) + spread(b)
    return torch.relu(x if r is None else x + wide(r)).sum(dim=(2, 3))


def mask(dy: Map, y: Map | None, u: Map, r: Map | None) -> tuple[Tensor, ...]:
    """Return the gradient masked by the ReLU, its sums over positions, and those of its products with u and r."""
    g = dy if y is None else torch.where(y > 0, dy, torch.zeros_like(dy))
    sums = [wide(g).sum(dim=(2, 3)), (wide(g) * wide(u)).sum(dim=(2, 3))]
    if r is not None:
        sums.append((wide(g) * wide(r)).sum(dim=(2, 3)))
    return g, *sums


def masked_sums(dy: Map, u: Map, a: Rows, b: Rows, full: bool) -> tuple[Tensor, ...]:
    """Sum m dy and m dy u over positions; if full, also m and m u."""
    m = (spread(a) * wide(u) + spread(b)) > 0
    g = m * wide(dy)
    sums = [g.sum(dim=(2, 3)), (g * wide(u)).sum(dim=(2, 3))]
    if full:
        sums += [m.to(g.dtype).sum(dim=(2, 3)), (m * wide(u)).sum(dim=(2, 3))]
    return tuple(sums)


def finish(
    g: Map, u: Map, A: Rows, B: Rows | None, C: Rows | None, D: Rows | None, a: Rows | None, b: Rows | None
) -> Map:
    """Return m (A g + D) + B u + C."""
    x = spread(A) * wide(g)
    if D is not None:
        x = x + spread(D)
    if a is not None and b is not None:
        x = x * ((spread(a) * wide(u) + spread(b)) > 0)
    if C is not None:
        x = x + spread(C)
    if B is not None:
        x = x + spread(B) * wide(u)
    return x.to(u.dtype)


REFERENCE = Passes(
    moments=moments,
    combine=combine,
    gradients=gradients,
    apply=apply,
    rectified_sum=rectified_sum,
    mask=mask,
    masked_sums=masked_sums,
    finish=finish,
)
