"""Tails of residual units for inference: gate, sum and ReLU in place, and squeezes moved before a convolution.

In C++ the squeeze runs after the convolution whose input it averages: this takes one call, and the map is still cached.

Letters in shapes: n images, c and d channels, *s and *t sizes of maps.
"""

from types import EllipsisType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.compiler import is_compiling

from senet.fast.conv_norm import Conv
from senet.fast.inference.chain import Chain
from senet.fast.inference.ends import End, library
from senet.fast.inference.excitation import Excitation
from senet.fast.listeners import is_followed
from senet.nn import SqueezeExcite
from senet.nn.squeeze import avg

__all__ = ["CommutedTail", "GatedTail", "PlainTail", "finish"]

Excite = Chain | Excitation | SqueezeExcite
FEW = 2**17  # values of a map up to which two torch operators cost less than the Python overhead of one native call


class Tail(nn.Module):
    """`relu(s · u + r)`: one native call if supported, otherwise torch operators.

    Args:
        excite: computes `s` from a map; None means 1.
        rectify: whether the unit ends with a ReLU.
        own: whether nothing else reads `u`, so that the result may overwrite it.
    """

    def __init__(self, excite: Excite | None, *, rectify: bool, own: bool) -> None:
        super().__init__()
        self.register_module("excite", excite)
        self.rectify = rectify
        self.own = own
        self.end = End(rectify=rectify, own=own)

    def is_native(self) -> bool:
        """Return whether one native call runs block and tail on the current device; the first call compiles."""
        excite = self._modules["excite"]
        return type(excite) is Chain and next(excite.parameters()).is_cpu and library() is not None

    def run(
        self,
        u: Float[Tensor, "n d *t"],
        r: Float[Tensor, "n d *t"] | None,
        h: Float[Tensor, "n c *s"] | None,
    ) -> Float[Tensor, "n d *t"]:
        """Compute the tail of a unit.

        Args:
            u: output of the branch.
            r: output of the shortcut; None without a sum.
            h: the map that the weights are computed from; may be `u`; None without a block.
        """
        excite = self._modules["excite"]  # faster than attribute access
        chain = excite if type(excite) is Chain else None  # the weights of a parametrized one are temporary
        s = None if chain is not None or h is None else _weights(excite, h)
        y = self.end.finish(u, s, r, None if chain is None else h, chain)
        if y is not None:
            return y
        if chain is not None and h is not None:
            s = _weights(chain, h)
        return finish(u, s, r, rectify=self.rectify, own=self.own)


class CommutedTail(Tail):
    """`relu(s · (W h + b) + r)` with `s` computed from the average of `h`, before `W` is applied.

    The average commutes with a 1x1 convolution: `mean(W h + b) = W mean(h) + b`. In a bottleneck `h` has a quarter of
    the channels, and the gated map is not read for its squeeze.

    Args:
        conv: 1x1 convolution with its norm fused.
        excite: maps the average of `h` to weights.
        rectify: whether the unit ends with a ReLU.
    """

    def __init__(self, conv: Conv, excite: Chain | Excitation, *, rectify: bool) -> None:
        super().__init__(excite, rectify=rectify, own=True)
        self.conv = conv
        self.seen: list[EllipsisType | slice] = [..., *(slice(None, None, step) for step in conv.stride)]  # positions
        self.whole = set(conv.stride) == {1}

    def forward(self, h: Float[Tensor, "n c *s"], r: Float[Tensor, "n d *t"] | None = None) -> Float[Tensor, "n d *t"]:
        """Compute the tail of a unit; `r` is the output of the shortcut, None without a sum."""
        u = self.conv(h)
        return self.run(u, r, h if self.whole else avg(h[tuple(self.seen)]))


class GatedTail(Tail):
    """`relu(s · u + r)` with `s` computed from `u`: for blocks whose squeeze cannot be moved before a convolution."""

    def forward(self, u: Float[Tensor, "n d *t"], r: Float[Tensor, "n d *t"] | None = None) -> Float[Tensor, "n d *t"]:
        """Compute the tail of a unit; `r` is the output of the shortcut, None without a sum."""
        return self.run(u, r, u)


class PlainTail(Tail):
    """`relu(u + r)`, in place on `u`."""

    def __init__(self, *, rectify: bool) -> None:
        super().__init__(None, rectify=rectify, own=True)

    def forward(self, u: Float[Tensor, "n d *t"], r: Float[Tensor, "n d *t"]) -> Float[Tensor, "n d *t"]:
        """Compute the tail of a unit."""
        return self.run(u, r, None) if u.numel() > FEW else finish(u, None, r, rectify=self.rectify, own=True)


def finish(
    u: Float[Tensor, "n d *t"],
    s: Float[Tensor, "n d *w"] | None,
    r: Float[Tensor, "n d *t"] | None,
    *,
    rectify: bool,
    own: bool,
) -> Float[Tensor, "n d *t"]:
    """Compute `relu(s · u + r)` with one pass over the maps for gate and sum, and one for the ReLU.

    Args:
        u: output of the branch.
        s: its channel weights; None is 1.
        r: output of the shortcut; None is 0.
        rectify: whether to apply the ReLU.
        own: whether the result may overwrite `u`. It does, unless gradients are required, the operations are observed,
            or the maps differ in size or dtype.
    """
    s = None if s is None else s.to(u.dtype)
    same = r is None or (r.shape == u.shape and r.dtype == u.dtype)
    wanted = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (u, s, r))
    if is_compiling() or wanted or not (own and same) or is_followed():
        y = u if s is None else u * s
        y = y if r is None else y + r
        return torch.relu(y) if rectify else y
    if s is not None and r is not None:
        y = torch.addcmul(r, u, s, out=u)
    elif r is not None:
        y = u.add_(r)
    else:
        y = u if s is None else u.mul_(s)
    return y.relu_() if rectify else y


def _weights(excite: nn.Module | None, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n d *w"]:
    """Return the channel weights for a map, in a shape that broadcasts against it."""
    if isinstance(excite, SqueezeExcite):
        return excite.weights(x)
    assert excite is not None
    s: Tensor = excite(avg(x).flatten(1))
    return s.reshape(*s.shape, *[1] * (x.ndim - 2))
