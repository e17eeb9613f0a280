"""Fused scaling of a map by its block and addition of another: the slot `identity`, and units without a last norm.

    z = mean_hw x        s = gate(excite(z))        y = s x + t
    ds = Sum(dy x)       dx = s dy + dz / hw        dt = dy

In a unit with a last norm, `t = norm(u)` and a ReLU follows: y = relu(a u + b + s x).

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

__all__ = ["gated_shortcut", "scale_add"]

Map = Float[Tensor, "n c h w"]


class SqueezeMap(torch.autograd.Function):
    """Forward: the squeeze of a map. Backward: the gradient of the map through both squeeze and scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, backend: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return z and the link."""
        ctx.backend = backend
        ctx.save_for_backward(x)
        return (passes(backend).moments(x)[0], *link(x, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor, g: Tensor, rows: Tensor) -> tuple[Tensor | None, ...]:
        """Return dx = s g + dz / hw."""
        (x,) = ctx.saved_tensors
        return passes(ctx.backend).finish(g, x, rows[0], None, dz / (x.shape[2] * x.shape[3]), None, None, None), None


class ScaleAddMap(torch.autograd.Function):
    """Forward: s x + t for two maps and the gate of the first."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, t: Tensor, s: Tensor, linked: Tensor, rows: Tensor, backend: str) -> Tensor:
        """Return y."""
        ctx.backend = backend
        ctx.save_for_backward(x, s)
        return passes(backend).apply(x, t, s, torch.zeros_like(s), None, None, False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of t and s; `SqueezeMap` computes that of x."""
        x, s = ctx.saved_tensors
        g, _, sgx = passes(ctx.backend).mask(dy, None, x, None)
        return None, g, sgx, g, s[None], None


class NormAddGated(torch.autograd.Function):
    """Forward: relu(norm(u) + s x) for u, the shortcut x and its gate s."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        x: Tensor,
        s: Tensor,
        gamma: Tensor,
        beta: Tensor,
        centre: Tensor,
        k: Tensor,
        a: Tensor,
        b: Tensor,
        linked: Tensor,
        rows: Tensor,
        count: int,
        group: Group,
        backend: str,
    ) -> Tensor:
        """Return y."""
        y = passes(backend).apply(u, x, a, b, s, None, True)
        ctx.count, ctx.group, ctx.backend = count, group, backend
        ctx.save_for_backward(u, x, y, s, gamma, centre, k)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of u, the gate and the norm; `SqueezeMap` computes that of x."""
        u, x, y, s, gamma, centre, k = ctx.saved_tensors
        g, sg, sgu, sgx = passes(ctx.backend).mask(dy, y, u, x)
        words = sg, sgu, None, None, None, None, gamma, centre, k, u.shape[2] * u.shape[3], ctx.count, False
        dgamma, dbeta, *coefficients = between(words, ctx.group, ctx.backend)
        du = passes(ctx.backend).finish(g, u, *coefficients, None, None)
        return du, None, sgx, dgamma, dbeta, *[None] * 4, g, s[None], *[None] * 3


def scale_add(x: Map, t: Map, *, excite: Excite, backend: str) -> Map:
    """Return se(x) + t: the tail of a unit without a last norm.

    Source:
        The algebra is this project's own (docs/fast.md).
    """
    z, *linked = SqueezeMap.apply(x, backend)
    y: Tensor = ScaleAddMap.apply(x, t, excite(z), *linked, backend)
    return y


def gated_shortcut(u: Map, x: Map, *, norm: Norm, excite: Excite, backend: str) -> Map:
    """Return relu(norm(u) + se(x)): the tail of a unit with a block in the slot `identity`.

    Source:
        The algebra is this project's own (docs/fast.md).
    """
    gamma, beta, centre, k, a, b, count, _, _, group = normal(u, norm, backend)
    z, *linked = SqueezeMap.apply(x, backend)
    words = u, x, excite(z), gamma, beta, centre, k, a, b, *linked, count, group, backend
    y: Tensor = NormAddGated.apply(*words)
    return y
