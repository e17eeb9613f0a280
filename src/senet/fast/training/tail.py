"""The fused tail of a residual unit - norm, block, addition, ReLU - with no more memory passes than without the block.

The squeeze of a normalised map is a function of the moments that the norm computes anyway, so no second reduction is
needed and the scaled map is never written: with m, v the mean and biased variance of each image and channel of u,

    mu = mean_n m        var = mean_n v + var_n m        k = 1 / sqrt(var + eps)
    z = gamma k (m - mu) + beta          s = gate(excite(z))
    y = relu(a u + b + r)                a = s gamma k,  b = s (beta - gamma k mu)

Addition and ReLU may be absent, as where `senet.insert` attached the block to a norm in a network of another library.
Two autograd operations surround an ordinary excitation: `Squeeze` (`senet.fast.training.squeeze`) returns z,
`ScaleAdd` takes s.

Letters in shapes: n images, c channels, h and w sizes; small letters without a size are matrices (n, c) or rows (c).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from senet.fast.kernels.backends import passes
from senet.fast.training.excitation import Excite
from senet.fast.training.norm_statistics import Norm, normal
from senet.fast.training.squeeze import Group, Squeeze, between

__all__ = ["fused_tail"]

Map = Float[Tensor, "n c h w"]


class ScaleAdd(torch.autograd.Function):
    """Forward: the output of the unit for u, the shortcut r and the gate s."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        r: Tensor | None,
        s: Tensor,
        a: Tensor,
        b: Tensor,
        linked: Tensor,
        rows: Tensor,
        relu: bool,
        backend: str,
    ) -> Tensor:
        """Return y."""
        y = passes(backend).apply(u, r, a * s, b * s, None, None, relu)
        ctx.shortcut, ctx.backend = r is not None, backend
        ctx.save_for_backward(u, y if relu else None, s, a, b)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of r and s; `Squeeze` computes those of u and the norm."""
        u, y, s, a, b = ctx.saved_tensors
        g, sg, sgu = passes(ctx.backend).mask(dy, y, u, None)
        ds = torch.addcmul(b * sg, a, sgu)
        return None, g if ctx.shortcut else None, ds, None, None, g, torch.stack((sg, sgu, s)), None, None


class NormAdd(torch.autograd.Function):
    """The tail without a block: relu(norm(u) + r)."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        r: Tensor,
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
        y = passes(backend).apply(u, r, a, b, None, None, True)
        ctx.count, ctx.group, ctx.backend = count, group, backend
        ctx.save_for_backward(u, y, gamma, centre, k)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return all gradients."""
        u, y, gamma, centre, k = ctx.saved_tensors
        g, sg, sgu = passes(ctx.backend).mask(dy, y, u, None)
        words = sg, sgu, None, None, None, None, gamma, centre, k, u.shape[2] * u.shape[3], ctx.count, False
        dgamma, dbeta, *coefficients = between(words, ctx.group, ctx.backend)
        return passes(ctx.backend).finish(g, u, *coefficients, None, None), g, dgamma, dbeta, *[None] * 7


def fused_tail(u: Map, r: Map | None, *, norm: Norm, excite: Excite | None, backend: str, relu: bool = True) -> Map:
    """Return relu(se(norm(u)) + r), and update the statistics of the norm as torch does.

    Args:
        u: input of the norm.
        r: output of the shortcut; None for no addition, which requires a block.
        norm: the last norm of the branch.
        excite: the excitation of the block; None without a block.
        backend: backend of the passes over the maps.
        relu: whether a ReLU ends the unit; required without a block.

    Source:
        The algebra is this project's own (docs/fast.md).
    """
    found = normal(u, norm, backend, squeeze=excite is not None)
    gamma, beta, centre, k, a, b, count, mean, variance, group = found
    if excite is None:
        assert relu
        words = u, r, gamma, beta, centre, k, a, b, count, group, backend
        added: Tensor = NormAdd.apply(*words)
        return added
    seen = variance if excite.squeeze.spread else None
    z, w, *linked = Squeeze.apply(u, gamma, beta, mean, seen, centre, k, a, b, count, group, backend)
    s = excite(z, w, u.shape[2] * u.shape[3])
    y: Tensor = ScaleAdd.apply(u, r, s, a, b, *linked, relu, backend)
    return y
