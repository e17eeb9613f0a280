"""The passes in Triton, for CUDA. Maps in either layout are processed in tiles of positions by channels.

Sums over positions: if images and channel tiles cannot fill the multiprocessors of a large GPU, several programs share
the positions of an image, and their sums are added in a second launch. The number of programs depends only on the shape
of the map, so results do not depend on the device.

Letters in shapes: n images, c channels, h and w sizes; p stands for positions.
"""

import torch
import triton
from torch import Tensor

from senet.fast.kernels.passes import MaybeTensor, Passes
from senet.fast.kernels.rows import combine, gradients
from senet.fast.kernels.triton_kernels import (
    apply_kernel,
    finish_kernel,
    mask_kernel,
    masked_sums_kernel,
    moment_sums_kernel,
    moments_kernel,
    rectified_sum_kernel,
)

__all__ = ["TRITON", "parts"]

FILLED = 2 * 132  # programs that keep an H100 busy: two on each of its multiprocessors
FEWEST = 4  # minimum tiles of positions per program: with fewer, the overhead exceeds the gain


def parts(programs: int, tiles: int) -> int:
    """Return how many programs share the positions of an image in a sum.

    Args:
        programs: number of programs without sharing: images times channel tiles.
        tiles: tiles of positions in an image.
    """
    return max(1, min(-(-FILLED // programs), tiles // FEWEST))


class _Launch:
    """Sizes, strides and tiles for one map; other maps are converted to its layout."""

    def __init__(self, u: Tensor) -> None:
        n, c, h, w = u.shape
        self.last = u.is_contiguous(memory_format=torch.channels_last)
        self.u = u if self.last else u.contiguous()
        hw = h * w
        self.sizes = (c, hw, c, 1) if self.last else (c, hw, 1, hw)
        wide, long = (32, 64) if self.last else (1, 1024)
        self.tile = {"BC": min(wide, triton.next_power_of_2(c)), "BP": min(long, triton.next_power_of_2(hw))}
        each = (triton.cdiv(c, self.tile["BC"]), n)
        tiles = triton.cdiv(hw, self.tile["BP"])
        self.every, self.once = (*each, tiles), each
        walked = triton.cdiv(tiles, parts(each[0] * each[1], tiles))  # tiles of one program
        self.parts = triton.cdiv(tiles, walked)
        self.walk = walked * self.tile["BP"]
        self.sums = (*each, self.parts)
        self.matrix = (n, c)

    def map(self, x: MaybeTensor) -> Tensor:
        """Return a map in the layout and dtype of u; u itself for None, which the kernel does not read."""
        if x is None:
            return self.u
        layout = torch.channels_last if self.last else torch.contiguous_format
        return x.to(self.u.dtype).contiguous(memory_format=layout)

    def rows(self, *rows: MaybeTensor) -> tuple[list[Tensor], list[int]]:
        """Return coefficients and their strides between images; u for None, which the kernel does not read."""
        ready = [self.u if row is None else row.float().contiguous() for row in rows]
        strides = [row.shape[1] if row is not None and row.ndim == 2 else 0 for row in rows]
        return ready, strides

    def empty(self, number: int) -> Tensor:
        return torch.empty(number, *self.matrix, dtype=torch.float32, device=self.u.device)

    def partial(self, number: int) -> Tensor:
        """Allocate the partial sums of several sums."""
        return torch.empty(self.parts, number, *self.matrix, dtype=torch.float32, device=self.u.device)


def _added(sums: Tensor) -> tuple[Tensor, ...]:
    """Add the partial sums of each sum."""
    return (sums[0] if len(sums) == 1 else sums.sum(0)).unbind()


def moments(u: Tensor) -> tuple[Tensor, Tensor]:
    go = _Launch(u)
    sums, (mean, variance) = go.partial(2), go.empty(2).unbind()
    size, part = mean.numel(), sums[0].numel()
    moment_sums_kernel[go.sums](go.u, sums, *go.sizes, size, part, go.walk, **go.tile)
    words = go.u, sums, mean, variance, *go.sizes, size, part, go.parts
    moments_kernel[go.once](*words, BC=go.tile["BC"])
    return mean, variance


def apply(u: Tensor, r: MaybeTensor, a: Tensor, b: Tensor, e: MaybeTensor, post: MaybeTensor, relu: bool) -> Tensor:
    go = _Launch(u)
    y = torch.empty_like(go.u)
    rows, strides = go.rows(a, b, e, post)
    flags = {"WITH_R": r is not None, "WITH_E": e is not None, "WITH_POST": post is not None, "RELU": relu}
    apply_kernel[go.every](go.u, go.map(r), *rows, y, *go.sizes, *strides, **flags, **go.tile)
    return y


def rectified_sum(u: Tensor, r: MaybeTensor, a: Tensor, b: Tensor) -> Tensor:
    go = _Launch(u)
    sums = go.partial(1)
    rows, strides = go.rows(a, b)
    words = go.u, go.map(r), *rows, sums, *go.sizes, *strides, sums[0].numel(), go.walk
    rectified_sum_kernel[go.sums](*words, WITH_R=r is not None, **go.tile)
    return _added(sums)[0]


def mask(dy: Tensor, y: MaybeTensor, u: Tensor, r: MaybeTensor) -> tuple[Tensor, ...]:
    go = _Launch(u)
    dy = go.map(dy)
    g = dy if y is None else torch.empty_like(go.u)
    sums = go.partial(2 if r is None else 3)
    flags = {"WITH_Y": y is not None, "WITH_R": r is not None}
    maps = dy, go.map(y), go.u, go.map(r), g
    mask_kernel[go.sums](*maps, sums, *go.sizes, sums[0, 0].numel(), sums[0].numel(), go.walk, **flags, **go.tile)
    return g, *_added(sums)


def masked_sums(dy: Tensor, u: Tensor, a: Tensor, b: Tensor, full: bool) -> tuple[Tensor, ...]:
    go = _Launch(u)
    sums = go.partial(4 if full else 2)
    rows, strides = go.rows(a, b)
    words = go.map(dy), go.u, *rows, sums, *go.sizes, *strides, sums[0, 0].numel(), sums[0].numel(), go.walk
    masked_sums_kernel[go.sums](*words, FULL=full, **go.tile)
    return _added(sums)


def finish(
    g: Tensor, u: Tensor, A: Tensor, B: MaybeTensor, C: MaybeTensor, D: MaybeTensor, a: MaybeTensor, b: MaybeTensor
) -> Tensor:
    go = _Launch(u)
    du = torch.empty_like(go.u)
    rows, strides = go.rows(A, B, C, D, a, b)
    flags = {"WITH_B": B is not None, "WITH_C": C is not None, "WITH_D": D is not None, "MASKED": a is not None}
    finish_kernel[go.every](go.map(g), go.u, *rows, du, *go.sizes, *strides, **flags, **go.tile)
    return du


TRITON = Passes(
    moments=moments,
    combine=combine,
    gradients=gradients,
    apply=apply,
    rectified_sum=rectified_sum,
    mask=mask,
    masked_sums=masked_sums,
    finish=finish,
)
