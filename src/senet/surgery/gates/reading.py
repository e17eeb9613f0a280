"""Read the gates of blocks from their inputs and outputs while a network runs.

Letters in shapes: n images, c channels, *s the sizes of the map.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from senet.surgery.finding.find import Found

__all__ = ["BlockCall", "Reading", "reading"]


@dataclass(frozen=True, eq=False)
class Reading:
    """The sums over positions of the input x and the output y of a block, for every image and channel.

    Attributes:
        energy: sum of x squared `(n, c)`.
        product: sum of x times y `(n, c)`.
        output: sum of y squared `(n, c)`.
        total: sum of x `(n, c)`.
        positions: number of positions of the map.
    """

    energy: Float64[Tensor, "n c"]
    product: Float64[Tensor, "n c"]
    output: Float64[Tensor, "n c"]
    total: Float64[Tensor, "n c"]
    positions: int

    @classmethod
    @torch.no_grad()
    def of(cls, x: Float[Tensor, "n c *s"], y: Float[Tensor, "n c *s"]) -> "Reading":
        """Return the sums of one call of a block."""
        wide, out = x.double().flatten(2), y.double().flatten(2)
        sums = wide.square().sum(2), (wide * out).sum(2), out.square().sum(2), wide.sum(2)
        return cls(*sums, positions=wide.shape[2])

    @property
    def there(self) -> Tensor:
        """Which maps are not zero everywhere `(n, c)`; the output of a zero map is the same under every gate."""
        return self.energy > 0

    @property
    def gate(self) -> Float64[Tensor, "n c"]:
        """The least-squares factor between output and input, `<x, y> / <x, x>`; NaN where the map is zero.

        It is the block's own gate if one number scales the map, for every class of block, and the mean of a gate per
        position weighted by the energy of the map.
        """
        return self.product / self.energy.where(self.there, torch.full_like(self.energy, torch.nan))


@dataclass(frozen=True, eq=False)
class BlockCall:
    """One call of a block with the channels of its map on axis 1.

    Attributes:
        x: its input, before the block could overwrite it; None if it got no tensor.
        y: its output; None if it is no tensor of the shape of `x`.
        dim: channel axis of the original map: 1, or -1 for channels last.
        inplace: whether the block overwrote its input.
    """

    x: Tensor | None
    y: Tensor | None
    dim: int = 1
    inplace: bool = False


@contextmanager
def reading(blocks: Mapping[str, tuple[Found, nn.Module]], note: Callable[[str, BlockCall], None]) -> Iterator[None]:
    """Call `note` with the name and the call of a block whenever a block runs inside the context.

    Args:
        blocks: the blocks by name.
        note: function of the name and the call; what it raises ends the forward pass.
    """
    inputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(_: nn.Module, args: tuple[object, ...]) -> None:
            if args and isinstance(args[0], Tensor):
                inputs[name] = args[0].clone()  # the block may write into its input

        return hook

    def leave(name: str, found: Found) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(_: nn.Module, args: tuple[object, ...], y: object) -> None:
            x = inputs.pop(name, None)
            if x is None:
                note(name, BlockCall(None, None))
                return
            dim = channel_dim(found.channels, x)
            out = y.movedim(dim, 1) if isinstance(y, Tensor) and y.shape == x.shape else None
            note(name, BlockCall(x.movedim(dim, 1), out, dim, y is args[0]))

        return hook

    handles = []
    for name, (found, block) in blocks.items():
        handles += [block.register_forward_pre_hook(keep(name)), block.register_forward_hook(leave(name, found))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def channel_dim(channels: int, x: Tensor) -> int:
    """Return the channel axis of a map: 1, or -1 for channels last."""
    return -1 if x.shape[1] != channels and x.shape[-1] == channels else 1
