"""Resize batches on any device with the same bits as Pillow.

Pillow resizes rows and columns in two passes. The weight of every pixel is an integer of 22 bits, sums are exact, and
each pass ends with rounding to bytes. Here a pass is a matrix product in float64, in which such sums are exact too.

`n` images, `c` channels, `h` rows, `w` columns, `r` rows and `s` columns of the result.

Source:
    Pillow, `src/libImaging/Resample.c`: `precompute_coeffs`, `normalize_coeffs_8bpc`, the passes.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

__all__ = ["resample", "weights"]

_BITS = 22
_CHUNK = 64  # images at a time: float64 takes eight times the memory of bytes


def _triangle(x: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    return np.where(x < 1, 1 - x, 0.0)


def _cubic(x: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


KERNELS: Mapping[str, tuple[float, Callable[[Float64[np.ndarray, "..."]], Float64[np.ndarray, "..."]]]] = {
    "bilinear": (1.0, _triangle),
    "bicubic": (2.0, _cubic),
}
"""Half width and value at a distance of each interpolation."""


def weights(
    start: Float[Tensor, " n"], length: Float[Tensor, " n"], *, pixels: int, size: int, kept: range, interpolation: str
) -> Float64[Tensor, "n r p"]:
    """Compute the integer weights with which one pass combines a line of pixels.

    Args:
        start: first pixel of the box in each image.
        length: length of the box; no pixel outside it is read [pixels].
        pixels: length of a line.
        size: length of the resized box [pixels].
        kept: range of the resized pixels to compute.
        interpolation: key of `KERNELS`.
    """
    reach, kernel = KERNELS[interpolation]
    long = length.double().numpy()[:, None]
    scale = long / size
    wide = np.maximum(scale, 1.0)
    middle = (np.arange(kept.start, kept.stop) + 0.5) * scale
    first = np.trunc(middle - reach * wide + 0.5).clip(min=0)[..., None]
    last = np.minimum(np.trunc(middle + reach * wide + 0.5), long)[..., None]
    place = np.arange(pixels) - start.double().numpy()[:, None, None]
    value = kernel(np.abs((place - middle[..., None] + 0.5) * (1 / wide)[..., None]))
    value = np.where((place >= first) & (place < last), value, 0.0)
    value /= np.add.accumulate(value, axis=2)[..., -1:]  # adds in sequence, as Pillow's loop does
    return torch.from_numpy(np.trunc(value * 2**_BITS + np.copysign(0.5, value)))


def resample(
    x: UInt8[Tensor, "n c h w"], rows: Float64[Tensor, "m r h"], cols: Float64[Tensor, "m s w"]
) -> UInt8[Tensor, "n c r s"]:
    """Resize images: columns first, then rows, rounded to bytes after each.

    Args:
        x: images.
        rows: weights of the rows for each image, or one set for all.
        cols: weights of the columns for each image, or one set for all.
    """
    rows, cols = rows.to(x.device)[:, None], cols.to(x.device)[:, None].mT
    if len(x) <= _CHUNK:
        return _bytes(rows @ _bytes(x.double() @ cols).double())
    parts = [slice(first, first + _CHUNK) for first in range(0, len(x), _CHUNK)]
    shared = len(rows) == 1
    return torch.cat(
        [
            _bytes((rows if shared else rows[p]) @ _bytes(x[p].double() @ (cols if shared else cols[p])).double())
            for p in parts
        ]
    )


def _bytes(sums: Float64[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    return sums.add_(2 ** (_BITS - 1)).mul_(2.0**-_BITS).floor_().clamp_(0, 255).byte()
