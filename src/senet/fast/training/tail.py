"""The fused tail of a residual unit - norm, block, addition, ReLU - with no more memory passes than without the block.

The squeeze of a normalised map is a function of the moments that the norm computes anyway, so no second reduction is
needed and the scaled map is never written: with m, v the mean and biased variance of each image and channel of u,

    mu = mean_n m        var = mean_n v + var_n m        k = 1 / sqrt(var + eps)
    z = gamma k (m - mu) + beta          s = gate(excite(z))
    y = relu(a u + b + r)                a = s gamma k,  b = s (beta - gamma k mu)

Two autograd operations surround an ordinary excitation: `Squeeze` returns z, `ScaleAdd` takes s. The gradient of u
depends on that of z, so `ScaleAdd` must pass intermediate results to `Squeeze`: it does so as the gradient of a `link`,
a tensor of zeros without memory that `Squeeze` returns and `ScaleAdd` takes.

Letters in shapes: n images, c channels, h and w sizes; small letters without a size are matrices (n, c) or rows (c).
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from senet.fast.kernels.backends import passes
from senet.fast.kernels.rows import gradients
from senet.fast.training.norm_statistics import Norm, normal

__all__ = ["Excite", "Group", "between", "fused_tail", "link"]

Map = Float[Tensor, "n c h w"]
Excite = Callable[[Tensor], Tensor]
Group = Any  # torch.distributed.ProcessGroup or None


class Squeeze(torch.autograd.Function):
    """Forward: the squeeze of norm(u). Backward: the total gradient of u."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        gamma: Tensor,
        beta: Tensor,
        mean: Tensor,
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
        ctx.save_for_backward(u, gamma, mean, centre, k)
        return (torch.addcmul(b, a, mean), *link(u, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor, g: Tensor, rows: Tensor) -> tuple[Tensor | None, ...]:
        """Return du = A g + B u + C and the gradients of the norm, using what `ScaleAdd` sends through the link."""
        u, gamma, mean, centre, k = ctx.saved_tensors
        sg, sgu, s = rows.unbind()
        size = u.shape[2] * u.shape[3]
        words = sg, sgu, s, dz / size, None, mean * size, gamma, centre, k, size, ctx.count, False
        dgamma, dbeta, *coefficients = between(words, ctx.group, ctx.backend)
        du = passes(ctx.backend).finish(g, u, *coefficients, None, None)
        return du, dgamma, dbeta, *[None] * 8


class ScaleAdd(torch.autograd.Function):
    """Forward: the output of the unit for u, the shortcut r and the gate s."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        r: Tensor,
        s: Tensor,
        a: Tensor,
        b: Tensor,
        linked: Tensor,
        rows: Tensor,
        backend: str,
    ) -> Tensor:
        """Return y."""
        y = passes(backend).apply(u, r, a * s, b * s, None, None, True)
        ctx.backend = backend
        ctx.save_for_backward(u, y, s, a, b)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of r and s; `Squeeze` computes those of u and the norm."""
        u, y, s, a, b = ctx.saved_tensors
        g, sg, sgu = passes(ctx.backend).mask(dy, y, u, None)
        return None, g, torch.addcmul(b * sg, a, sgu), None, None, g, torch.stack((sg, sgu, s)), None


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


def between(words: Any, group: Group, backend: str) -> tuple[Any, ...]:
    """Compute gradients and the coefficients of the second backward pass from the sums of the first."""
    if group is not None:
        return gradients(*words, group)  # type: ignore[call-arg]
    return passes(backend).gradients(*words)


def link(u: Map, rows: int) -> tuple[Map, Float[Tensor, "k n c"]]:
    """Return zeros in the shape of a map and of several matrices, without memory; their gradients transport data."""
    precise = torch.promote_types(u.dtype, torch.float32)
    return u.new_zeros(()).expand(u.shape), u.new_zeros((), dtype=precise).expand(rows, *u.shape[:2])


def fused_tail(u: Map, r: Map, *, norm: Norm, excite: Excite | None, backend: str) -> Map:
    """Return relu(se(norm(u)) + r), and update the statistics of the norm as torch does.

    Args:
        u: input of the norm.
        r: output of the shortcut.
        norm: the last norm of the branch.
        excite: maps a descriptor `(n, c)` to channel weights; None without a block.
        backend: backend of the passes over the maps.

    Source:
        The algebra is this project's own (docs/fast.md).
    """
    found = normal(u, norm, backend, squeeze=excite is not None)
    gamma, beta, centre, k, a, b, count, mean, group = found
    if excite is None:
        words = u, r, gamma, beta, centre, k, a, b, count, group, backend
        added: Tensor = NormAdd.apply(*words)
        return added
    z, *linked = Squeeze.apply(u, gamma, beta, mean, centre, k, a, b, count, group, backend)
    y: Tensor = ScaleAdd.apply(u, r, excite(z), a, b, *linked, backend)
    return y
