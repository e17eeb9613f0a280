"""The ends of residual units for inference: gate, sum and ReLU in the memory of one map, and the early squeeze.

In C++ the squeeze comes behind the convolution whose input it averages: one call, and that map is in the caches still.

Letters in shapes: n images, c and d channels, *s and *t sizes of maps.
"""

from types import EllipsisType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.compiler import is_compiling

from senet.fast.inference.chain import Chain
from senet.fast.inference.ends import End, library
from senet.fast.inference.excitation import Excitation
from senet.fast.listeners import is_followed
from senet.fast.norm_folding import Conv
from senet.nn import SqueezeExcite
from senet.nn.squeeze import avg

__all__ = ["CommutedTail", "GatedTail", "PlainTail", "finish"]

Excite = Chain | Excitation | SqueezeExcite
FEW = 2**17  # values of a map, up to which two operators of torch cost less than one of Python


class Tail(nn.Module):
    """`relu(s · u + r)`: one call of C++ where that can run, otherwise operators of torch.

    Args:
        excite: gives `s` from a map; None stands for 1.
        rectify: whether a ReLU ends the unit.
        own: whether nothing else reads `u`, so that its memory may take the result.
    """

    def __init__(self, excite: Excite | None, *, rectify: bool, own: bool) -> None:
        super().__init__()
        self.register_module("excite", excite)
        self.rectify = rectify
        self.own = own
        self.end = End(rectify=rectify, own=own)

    def is_native(self) -> bool:
        """Say whether one call of C++ runs block and end where the block is now; the first time here, this compiles."""
        excite = self._modules["excite"]
        return type(excite) is Chain and next(excite.parameters()).is_cpu and library() is not None

    def run(
        self,
        u: Float[Tensor, "n d *t"],
        r: Float[Tensor, "n d *t"] | None,
        h: Float[Tensor, "n c *s"] | None,
    ) -> Float[Tensor, "n d *t"]:
        """Run the end of a unit.

        Args:
            u: end of the branch.
            r: shortcut; None is no sum.
            h: the map that gives the weights; it may be `u`. None where there are none.
        """
        excite = self._modules["excite"]  # the quick way to a child
        chain = excite if type(excite) is Chain else None  # a parametrized one has weights that last one call
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
    the channels, so the map that is gated is never read for its squeeze.

    Args:
        conv: 1x1 convolution with its norm folded.
        excite: from the average of `h` to weights.
        rectify: whether a ReLU ends the unit.
    """

    def __init__(self, conv: Conv, excite: Chain | Excitation, *, rectify: bool) -> None:
        super().__init__(excite, rectify=rectify, own=True)
        self.conv = conv
        self.seen: list[EllipsisType | slice] = [..., *(slice(None, None, step) for step in conv.stride)]  # positions
        self.whole = set(conv.stride) == {1}

    def forward(self, h: Float[Tensor, "n c *s"], r: Float[Tensor, "n d *t"] | None = None) -> Float[Tensor, "n d *t"]:
        """Run the end of a unit; `r` is the shortcut, None is no sum."""
        u = self.conv(h)
        return self.run(u, r, h if self.whole else avg(h[tuple(self.seen)]))


class GatedTail(Tail):
    """`relu(s · u + r)` with `s` computed from `u`: of blocks that no convolution comes right before."""

    def forward(self, u: Float[Tensor, "n d *t"], r: Float[Tensor, "n d *t"] | None = None) -> Float[Tensor, "n d *t"]:
        """Run the end of a unit; `r` is the shortcut, None is no sum."""
        return self.run(u, r, u)


class PlainTail(Tail):
    """`relu(u + r)` in the memory of `u`.

    Args:
        rectify: whether a ReLU ends the unit.
    """

    def __init__(self, *, rectify: bool) -> None:
        super().__init__(None, rectify=rectify, own=True)

    def forward(self, u: Float[Tensor, "n d *t"], r: Float[Tensor, "n d *t"]) -> Float[Tensor, "n d *t"]:
        """Run the end of a unit."""
        return self.run(u, r, None) if u.numel() > FEW else finish(u, None, r, rectify=self.rectify, own=True)


def finish(
    u: Float[Tensor, "n d *t"],
    s: Float[Tensor, "n d *w"] | None,
    r: Float[Tensor, "n d *t"] | None,
    *,
    rectify: bool,
    own: bool,
) -> Float[Tensor, "n d *t"]:
    """Compute `relu(s · u + r)`; one pass over the maps for gate and sum, one for the ReLU.

    Args:
        u: end of the branch.
        s: its weights; None is 1.
        r: shortcut; None is 0.
        rectify: whether to apply the ReLU.
        own: whether the memory of `u` may take the result. It then does, unless gradients are wanted, somebody follows
            the operations, or the maps differ in size or type.
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
    """Give the weights that follow from a map; they broadcast against maps with as many sizes."""
    if isinstance(excite, SqueezeExcite):
        return excite.weights(x)
    assert excite is not None
    s: Tensor = excite(avg(x).flatten(1))
    return s.reshape(*s.shape, *[1] * (x.ndim - 2))
