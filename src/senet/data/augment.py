"""Augment whole batches: functions of pixels and random numbers, and functions that draw these numbers.

`n` images, `c` channels, `h` rows, `w` columns. All numbers are drawn on the CPU, so that they do not depend on the
device.

Source:
    The papers behind each change are in `senet.experiments.data_spec.Augment`.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64, Num, Shaped
from torch import Generator, Tensor

from senet.data.pixel_gather import mirrored, read, take
from senet.experiments.data_spec import Augment

__all__ = [
    "crop",
    "cutout",
    "draw_box",
    "draw_cutout",
    "flip",
    "generator",
    "move",
    "shift",
]


_DRAWS = 10
_ASPECT = 4 / 3


def generator(seed: int, index: int = 0) -> Generator:
    """Return the random generator of one batch, or of one image in it.

    torch's generator on the CPU uses the low 32 bits of a seed only, so all bits are mixed into those first.
    """
    mixed = seed * 0x9E3779B97F4A7C15 + index * 0xD1B54A32D192ED03 & 2**64 - 1
    mixed = (mixed ^ mixed >> 31) * 0xBF58476D1CE4E5B9 & 2**64 - 1
    return Generator().manual_seed(mixed >> 32)


def flip(x: Shaped[Tensor, "n c h w"], chosen: Bool[Tensor, " n"]) -> Shaped[Tensor, "n c h w"]:
    """Mirror the chosen images left-right."""
    # an index copies whole images; `torch.where` works on pixels, at three times the cost
    both = torch.cat([x, x.flip(3)])
    return both.index_select(0, torch.arange(len(x), device=x.device) + len(x) * chosen)


def crop(
    x: Shaped[Tensor, "n c h w"], corners: Int64[Tensor, "n 2"], *, pad: int, padding: str = "zero"
) -> Shaped[Tensor, "n c h w"]:
    """Pad every side, then cut each image back to its size.

    Args:
        x: images.
        corners: top and left of the cut in the padded image, 0 to `2 * pad` [pixels].
        pad: padding of each side [pixels].
        padding: `zero`, or `reflect` (the edge pixel is not repeated).
    """
    h, w = x.shape[2:]
    rows = corners[:, :1] - pad + torch.arange(h, device=x.device)
    cols = corners[:, 1:] - pad + torch.arange(w, device=x.device)
    if padding == "reflect":
        return take(x, mirrored(rows, h), mirrored(cols, w))
    # one ring of zeros is enough for every padding: indices further out are clamped to it
    ringed = torch.nn.functional.pad(x, (1, 1, 1, 1))
    return take(ringed, rows.clamp(-1, h) + 1, cols.clamp(-1, w) + 1)


def shift(x: Num[Tensor, "n c h w"], steps: Float[Tensor, "n 2"]) -> Float[Tensor, "n c h w"]:
    """Translate each image, bilinearly between pixels, with the nearest edge pixel outside.

    Args:
        x: images.
        steps: offset down and right at which each pixel is read [pixels], any fraction.
    """
    h, w = x.shape[2:]
    rows = steps[:, :1] + torch.arange(h, device=x.device)
    cols = steps[:, 1:] + torch.arange(w, device=x.device)
    return read(x, rows, cols)


def cutout(x: Float[Tensor, "n c h w"], centres: Int64[Tensor, "n 2"], *, side: int) -> Float[Tensor, "n c h w"]:
    """Set a square of each image to zero; the part of it outside the image is ignored, as in the paper.

    Args:
        x: images.
        centres: row and column of the square's centre, anywhere in the image [pixels].
        side: side of the square [pixels].
    """
    h, w = x.shape[2:]
    first = centres - side // 2
    row, col = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    in_rows = (row >= first[:, :1]) & (row < first[:, :1] + side)
    in_cols = (col >= first[:, 1:]) & (col < first[:, 1:] + side)
    # a product costs a quarter of `masked_fill` with a broadcast mask
    return x * ~(in_rows[:, None, :, None] & in_cols[:, None, None, :])


def move(x: Num[Tensor, "n c h w"], augment: Augment, random: Generator) -> Num[Tensor, "n c h w"]:
    """Apply the geometric changes that keep the size, in this order: shift, crop, flip.

    Args:
        x: images, bytes or floats; bytes stay bytes where no pixel is interpolated.
        augment: the changes.
        random: generator on the CPU.
    """
    n = len(x)
    if any(augment.shift):
        largest = torch.tensor([augment.shift[0] * x.shape[2], augment.shift[1] * x.shape[3]])
        x = shift(x, ((2 * torch.rand(n, 2, generator=random) - 1) * largest).to(x.device))
    if augment.crop:
        corners = torch.randint(2 * augment.crop + 1, (n, 2), generator=random).to(x.device)
        x = crop(x, corners, pad=augment.crop, padding=augment.padding)
    if augment.flip:
        x = flip(x, (torch.rand(n, generator=random) < 0.5).to(x.device))
    return x


def draw_box(height: int, width: int, *, smallest: float, random: Generator) -> tuple[int, int, int, int]:
    """Draw a box with a uniform share of the area and a log-uniform aspect of 3/4 to 4/3, in whole pixels.

    The first of ten draws that fits into the image is used; if none does, the largest centered box of an allowed
    aspect.

    Args:
        height: rows of the image.
        width: columns of the image.
        smallest: smallest share of the area [1].
        random: generator on the CPU.

    Returns:
        Top, left, height, width [pixels].

    Source:
        Szegedy et al., arXiv:1409.4842, section 6; draws and fallback as in torchvision's `RandomResizedCrop`.
    """
    *draws, (down, right) = torch.rand(_DRAWS + 1, 2, generator=random).double().tolist()
    for share, aspect in draws:
        area = (smallest + (1 - smallest) * share) * height * width
        ratio = _ASPECT ** (2 * aspect - 1)
        rows, cols = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < rows <= height and 0 < cols <= width:
            return int(down * (height - rows + 1)), int(right * (width - cols + 1)), rows, cols
    rows, cols = min(height, round(width * _ASPECT)), min(width, round(height * _ASPECT))
    return (height - rows) // 2, (width - cols) // 2, rows, cols


def draw_cutout(n: int, h: int, w: int, *, random: Generator) -> Int64[Tensor, "n 2"]:
    """Draw the centres of Cutout squares, uniformly over the pixels of the image.

    Source:
        DeVries and Taylor, arXiv:1708.04552, section 3.2.
    """
    return torch.stack([torch.randint(h, (n,), generator=random), torch.randint(w, (n,), generator=random)], dim=1)
