"""Fused norm and ReLU, optionally with a block after them (the slot `inner`).

The output of the ReLU is not kept: its mask is recomputed from `a u + b` at no cost. The squeeze of a rectified map
cannot be computed from the moments, but a single pass normalises, rectifies and reduces, and the gradient of the gate
follows from the same sums as that of the norm:

    m = [a u + b > 0]        z = mean_hw m (a u + b)        y = s m (a u + b)
    ds = a Sum(m dy u) + b Sum(m dy)        q = dz / hw
    du = m (A dy + D) + B u + C,    A = a s,  D = a q,  B and C from the sums of m (s dy + q)

Letters in shapes: n images, c channels, h and w sizes.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from senet.fast.kernels.backends import passes
from senet.fast.training.excitation import Excite
from senet.fast.training.norm_statistics import Norm, normal
from senet.fast.training.squeeze import Group, between, link

__all__ = ["norm_relu"]

Map = Float[Tensor, "n c h w"]


class NormReLU(torch.autograd.Function):
    """relu(norm(u))."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        gamma: Tensor,
        beta: Tensor,
        centre: Tensor,
        k: Tensor,
        a: Tensor,
        b: Tensor,
        count: int,
        group: Group,
        backend: str,
    ) -> Tensor:
        """Return y."""
        ctx.count, ctx.group, ctx.backend = count, group, backend
        ctx.save_for_backward(u, gamma, centre, k, a, b)
        return passes(backend).apply(u, None, a, b, None, None, True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of u, gamma and beta."""
        u, gamma, centre, k, a, b = ctx.saved_tensors
        sg, sgu = passes(ctx.backend).masked_sums(dy, u, a, b, False)
        words = sg, sgu, None, None, None, None, gamma, centre, k, u.shape[2] * u.shape[3], ctx.count, False
        dgamma, dbeta, *coefficients = between(words, ctx.group, ctx.backend)
        return passes(ctx.backend).finish(dy, u, *coefficients, a, b), dgamma, dbeta, *[None] * 7


class SqueezeRectified(torch.autograd.Function):
    """Forward: the squeeze of relu(norm(u)). Backward: the total gradient of u."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        gamma: Tensor,
        beta: Tensor,
        centre: Tensor,
        k: Tensor,
        a: Tensor,
        b: Tensor,
        count: int,
        group: Group,
        backend: str,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return z and the link."""
        ctx.count, ctx.group, ctx.backend = count, group, backend
        ctx.save_for_backward(u, gamma, centre, k, a, b)
        return (passes(backend).rectified_sum(u, None, a, b) / (u.shape[2] * u.shape[3]), *link(u, 5))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor, dy: Tensor, rows: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of u and the norm, using the sums that `ScaleRectified` sends through the link."""
        u, gamma, centre, k, a, b = ctx.saved_tensors
        sg, sgu, sm, smu, s = rows.unbind()
        size = u.shape[2] * u.shape[3]
        words = sg, sgu, s, dz / size, sm, smu, gamma, centre, k, size, ctx.count, True
        dgamma, dbeta, *coefficients = between(words, ctx.group, ctx.backend)
        return passes(ctx.backend).finish(dy, u, *coefficients, a, b), dgamma, dbeta, *[None] * 7


class ScaleRectified(torch.autograd.Function):
    """Forward: s relu(norm(u)) for u and the gate s."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, s: Tensor, a: Tensor, b: Tensor, linked: Tensor, rows: Tensor, backend: str
    ) -> Tensor:
        """Return y."""
        ctx.backend = backend
        ctx.save_for_backward(u, s, a, b)
        return passes(backend).apply(u, None, a, b, None, s, True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of s; `SqueezeRectified` computes the others."""
        u, s, a, b = ctx.saved_tensors
        sg, sgu, sm, smu = passes(ctx.backend).masked_sums(dy, u, a, b, True)
        return None, torch.addcmul(b * sg, a, sgu), None, None, dy, torch.stack((sg, sgu, sm, smu, s)), None


def norm_relu(u: Map, *, norm: Norm, excite: Excite | None, backend: str) -> Map:
    """Return se(relu(norm(u))), and update the statistics of the norm as torch does.

    Args:
        u: input of the norm.
        norm: a batch norm with weights.
        excite: the excitation of the block; None without a block.
        backend: backend of the passes over the maps.

    Source:
        The algebra is this project's own (docs/fast.md).
    """
    gamma, beta, centre, k, a, b, count, _, _, group = normal(u, norm, backend)
    words = u, gamma, beta, centre, k, a, b, count, group, backend
    if excite is None:
        y: Tensor = NormReLU.apply(*words)
        return y
    z, *linked = SqueezeRectified.apply(*words)
    scaled: Tensor = ScaleRectified.apply(u, excite(z), a, b, *linked, backend)
    return scaled
