"""The ends of residual units for inference: gate, sum and ReLU in the memory of one map, and the early squeeze.

Letters in shapes: n images, c and d channels, *s and *t sizes of maps.
"""

from types import EllipsisType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.fast.excitation import Excitation
from senet.fast.folding import Conv
from senet.nn import SqueezeExcite
from senet.nn.squeeze import avg

__all__ = ["CommutedTail", "GatedTail", "PlainTail", "finish"]


class CommutedTail(nn.Module):
    """`relu(s · (W h + b) + r)` with `s` computed from the average of `h`, before `W` is applied.

    The average commutes with a 1x1 convolution: `mean(W h + b) = W mean(h) + b`. In a bottleneck `h` has a quarter of
    the channels, so the map that is gated is never read for its squeeze.

    Args:
        conv: 1x1 convolution with its norm folded.
        excite: from the average of `h` to weights.
        rectify: whether a ReLU ends the unit.
    """

    def __init__(self, conv: Conv, excite: Excitation, *, rectify: bool) -> None:
        super().__init__()
        self.conv = conv
        self.excite = excite
        self.rectify = rectify
        self.seen: list[EllipsisType | slice] = [..., *(slice(None, None, step) for step in conv.stride)]  # positions
        self.whole = set(conv.stride) == {1}

    def forward(self, h: Float[Tensor, "n c *s"], r: Float[Tensor, "n d *t"] | None = None) -> Float[Tensor, "n d *t"]:
        """Run the end of a unit; `r` is the shortcut, None is no sum."""
        s = _weights(self.excite, h if self.whole else h[tuple(self.seen)])
        u = self.conv(h)
        return finish(u, s, r, rectify=self.rectify, own=True)


class GatedTail(nn.Module):
    """`relu(s · u + r)` with `s` computed from `u`: of blocks that no convolution comes right before.

    Args:
        weigh: from the map to its weights: a block of ours, or an excitation of its average.
        rectify: whether a ReLU ends the unit.
        own: whether nothing else reads `u`, so that its memory may take the result.
    """

    def __init__(self, weigh: SqueezeExcite | Excitation, *, rectify: bool, own: bool) -> None:
        super().__init__()
        self.weigh = weigh
        self.rectify = rectify
        self.own = own

    def forward(self, u: Float[Tensor, "n d *t"], r: Float[Tensor, "n d *t"] | None = None) -> Float[Tensor, "n d *t"]:
        """Run the end of a unit; `r` is the shortcut, None is no sum."""
        s = _weights(self.weigh, u) if isinstance(self.weigh, Excitation) else self.weigh.weights(u)
        return finish(u, s, r, rectify=self.rectify, own=self.own)


class PlainTail(nn.Module):
    """`relu(u + r)` in the memory of `u`.

    Args:
        rectify: whether a ReLU ends the unit.
    """

    def __init__(self, *, rectify: bool) -> None:
        super().__init__()
        self.rectify = rectify

    def forward(self, u: Float[Tensor, "n d *t"], r: Float[Tensor, "n d *t"]) -> Float[Tensor, "n d *t"]:
        """Run the end of a unit."""
        return finish(u, None, r, rectify=self.rectify, own=True)


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
        own: whether the memory of `u` may take the result. It then does, unless gradients are wanted, a graph is being
            captured, or the maps differ in size or type.
    """
    s = None if s is None else s.to(u.dtype)
    same = r is None or (r.shape == u.shape and r.dtype == u.dtype)
    wanted = torch.is_grad_enabled() and (u.requires_grad or (r is not None and r.requires_grad))
    if torch.compiler.is_compiling() or wanted or not (own and same):
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


def _weights(excite: Excitation, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n d *w"]:
    """Give the weights that follow from the average of a map; they broadcast against maps with as many sizes."""
    s: Tensor = excite(avg(x).flatten(1))
    return s.reshape(*s.shape, *[1] * (x.ndim - 2))
