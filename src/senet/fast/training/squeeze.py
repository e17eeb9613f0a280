"""The first of the two operations around an excitation: the squeeze of a normalised map, from the moments of the map.

With m, v the mean and biased variance of each image and channel of u, and norm(u) = a u + b,

    z = a m + b        w = a^2 v

are the moments of norm(u). The gradient of u needs those of z and w, which the excitation computes after the operation
that scales the map (`senet.fast.training.tail`): that operation sends g, its sums and s through the gradient of a
`link`, a tensor of zeros without memory that `Squeeze` returns and the other operation takes. In all

    dnorm(u) = s g + q + p u        p = 2 a dw / hw        q = dz / hw - p m

Letters in shapes: n images, c channels, h and w sizes; small letters without a size are matrices (n, c) or rows (c).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from senet.fast.kernels.backends import passes
from senet.fast.kernels.rows import gradients

__all__ = ["Group", "Squeeze", "between", "link"]

Map = Float[Tensor, "n c h w"]
Group = Any  # torch.distributed.ProcessGroup or None


class Squeeze(torch.autograd.Function):
    """Forward: the moments of norm(u). Backward: the total gradient of u."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        gamma: Tensor,
        beta: Tensor,
        mean: Tensor,
        variance: Tensor | None,
        centre: Tensor,
        k: Tensor,
        a: Tensor,
        b: Tensor,
        count: int,
        group: Group,
        backend: str,
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """Return z, w (None without the variance) and the link."""
        ctx.count, ctx.group, ctx.backend = count, group, backend
        ctx.save_for_backward(u, gamma, mean, variance, centre, k, a)
        return (torch.addcmul(b, a, mean), None if variance is None else a.square() * variance, *link(u, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor, dw: Tensor | None, g: Tensor, rows: Tensor) -> tuple[Tensor | None, ...]:
        """Return du = A g + B u + C and the gradients of the norm, using what the link brings."""
        u, gamma, mean, variance, centre, k, a = ctx.saved_tensors
        sg, sgu, s = rows.unbind()
        size = u.shape[2] * u.shape[3]
        end = None, mean * size, gamma, centre, k, size, ctx.count, False
        if variance is None or dw is None:
            dgamma, dbeta, A, B, C, _ = between((sg, sgu, s, dz / size, *end), ctx.group, ctx.backend)
        else:
            p = 2 / size * a * dw
            words = s * sg, torch.addcmul(size * p * variance, s, sgu), None, dz / size, *end
            dgamma, dbeta, A, B, C, _ = between(words, ctx.group, ctx.backend)
            A, p = A * s, a * p
            B, C = p if B is None else B + p, torch.addcmul(C, p, mean, value=-1)
        du = passes(ctx.backend).finish(g, u, A, B, C, None, None, None)
        return du, dgamma, dbeta, *[None] * 9


def between(words: Any, group: Group, backend: str) -> tuple[Any, ...]:
    """Compute gradients and the coefficients of the second backward pass from the sums of the first."""
    if group is not None:
        return gradients(*words, group)  # type: ignore[call-arg]
    return passes(backend).gradients(*words)


def link(u: Map, rows: int) -> tuple[Map, Float[Tensor, "k n c"]]:
    """Return zeros in the shape of a map and of several matrices, without memory; their gradients transport data."""
    precise = torch.promote_types(u.dtype, torch.float32)
    return u.new_zeros(()).expand(u.shape), u.new_zeros((), dtype=precise).expand(rows, *u.shape[:2])
