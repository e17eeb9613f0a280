"""Squeezes that weight positions, and several squeezes of one map.

Letters in shapes: n images, c channels, *s sizes of the map, *t ones.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError
from senet.nn.squeeze import SQUEEZES, positions, wide

__all__ = ["Attention", "Several", "dct", "frequencies", "squeeze_of"]

FREQUENCIES = 16  # of the paper: as many groups of channels


class Attention(nn.Module):
    """Average every channel with learned weights of the positions, which sum to 1: `softmax(w x) x`.

    A bias of the 1x1 convolution `w` cancels in the softmax, so there is none.

    Args:
        channels: channels of the map.
        device: of the weights; None means torch's default.
        dtype: of the weights; None means torch's default.

    Source:
        Cao et al., arXiv:1904.11492, Eq. 4-6 (global attention pooling).
    """

    def __init__(
        self, channels: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, channels, 1, 1, device=device, dtype=dtype))
        nn.init.uniform_(self.weight, -(channels**-0.5), channels**-0.5)  # as torch's convolutions

    def forward(self, x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
        """Average a map; `dims` is the number of its spatial dimensions under torch.fx."""
        flat = x.flatten(2)
        flat = flat if dims is not None else flat.to(self.weight.dtype)
        shares = torch.softmax(self.weight.flatten(1) @ flat, -1)
        z: Tensor = flat @ shares.transpose(1, 2)
        return torch.unflatten(z, 2, [1] * len(positions(x, dims)))


def dct(x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
    """Project every channel on one of the 16 lowest frequencies of the cosine transform.

    The first sixteenth of the channels takes frequency 0, the average, the next one frequency 1, and so on. Basis
    functions have a root mean square of 1 at every size of the map; the paper leaves this factor out.

    Args:
        x: the map.
        dims: must be None.

    Raises:
        SpecError: under torch.fx, where the map has no sizes.

    Source:
        Qin et al., arXiv:2012.11879, Eq. 7-10, with the criterion of the lowest frequencies.
    """
    if dims is not None:
        raise SpecError("squeeze = 'dct' needs the sizes of the map, which torch.fx does not know; use torch.export.")
    x = wide(x)
    channels, sizes = x.shape[1], x.shape[2:]
    lowest = frequencies(tuple(sizes))
    chosen = [lowest[channel * FREQUENCIES // channels % len(lowest)] for channel in range(channels)]
    basis = torch.ones(channels, *[1] * len(sizes), device=x.device, dtype=x.dtype)
    for axis, size in enumerate(sizes):
        wave = torch.tensor([one[axis] for one in chosen], device=x.device, dtype=x.dtype)[:, None]
        places = (torch.arange(size, device=x.device, dtype=x.dtype) + 0.5) * (math.pi / size)
        values = torch.cos(wave * places) * torch.where(wave > 0, 2, 1).to(x.dtype).sqrt()
        basis = basis * values.reshape(channels, *[1] * axis, size, *[1] * (len(sizes) - 1 - axis))
    return (x * basis).mean(positions(x, None), keepdim=True)


def frequencies(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the lowest frequencies of maps of these sizes, at most 16, by their sum over the axes.

    Example:
        >>> frequencies((7, 7))[:6], len(frequencies((2, 3)))
        ([(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)], 6)
    """
    axes = (range(min(size, FREQUENCIES)) for size in sizes)
    return sorted(product(*axes), key=lambda one: (sum(one), one))[:FREQUENCIES]


class Several(nn.Module):
    """Several squeezes of one map, which pass the same layers.

    Args:
        named: the squeezes with their names.

    Source:
        Woo et al., arXiv:1807.06521, Eq. 2: average and maximum.
    """

    def __init__(self, named: Sequence[tuple[str, Callable[..., Tensor]]]) -> None:
        super().__init__()
        self.squeezes = tuple(squeeze for _, squeeze in named if not isinstance(squeeze, nn.Module))
        for name, squeeze in named:
            if isinstance(squeeze, nn.Module):
                self.add_module(name, squeeze)

    def forward(self, x: Float[Tensor, "n c *s"], *, dims: int | None = None) -> tuple[Tensor, ...]:
        """Return the descriptors of a map."""
        return tuple(
            squeezed(squeeze, x, dims)
            for squeeze in (*self.squeezes, *cast("Iterator[Callable[..., Tensor]]", self.children()))
        )


def squeezed(squeeze: Callable[..., Tensor], x: Tensor, dims: int | None) -> Tensor:
    """Apply a squeeze; functions of the caller take the map only."""
    own = isinstance(squeeze, Attention | Several) or squeeze is dct or squeeze in SQUEEZES.values()
    return squeeze(x, dims=dims) if own else squeeze(x)


def squeeze_of(
    squeeze: object,
    channels: int,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Callable[..., Tensor]:
    """Return the squeeze of a spec for maps of `channels`: a function, or a module if it has parameters.

    Args:
        squeeze: a name of `SQUEEZE_NAMES`, a function, or several of them.
        channels: channels of the map that is squeezed.
        device: of the weights; None means torch's default.
        dtype: of the weights; None means torch's default.
    """
    if isinstance(squeeze, tuple):
        return Several(
            [
                (
                    str(one) if isinstance(one, str) else f"own{number}",
                    squeeze_of(one, channels, device=device, dtype=dtype),
                )
                for number, one in enumerate(squeeze, 1)
            ]
        )
    if squeeze == "attention":
        return Attention(channels, device=device, dtype=dtype)
    if squeeze == "dct":
        return dct
    return SQUEEZES[squeeze] if isinstance(squeeze, str) else squeeze  # type: ignore[return-value]
