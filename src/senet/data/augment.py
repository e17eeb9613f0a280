"""Random changes of a whole batch at once: plain functions of pixels and drawn numbers, and the draw itself.

`n` images, `c` channels, `h` rows, `w` columns, `r` rows and `s` columns of a result of another size. All numbers are
drawn on the CPU, so that they do not depend on the device.

Source:
    The papers behind each change are in `senet.data.spec.Augment`.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64, Num, Shaped
from torch import Generator, Tensor

from senet.data.lookup import mirrored, read, take
from senet.data.spec import Augment

__all__ = [
    "crop",
    "cutout",
    "draw_boxes",
    "draw_cutout",
    "flip",
    "generator",
    "move",
    "resized_crop",
    "shift",
    "stretch",
]


_DRAWS = 10


def generator(seed: int, index: int = 0) -> Generator:
    """Make the generator of one batch, or of one image in it.

    torch's generator on the CPU reads the low 32 bits of a seed only, so all bits are folded into those first.

    Args:
        seed: of the batch, any whole number.
        index: of the image.
    """
    mixed = seed * 0x9E3779B97F4A7C15 + index * 0xD1B54A32D192ED03 & 2**64 - 1
    mixed = (mixed ^ mixed >> 31) * 0xBF58476D1CE4E5B9 & 2**64 - 1
    return Generator().manual_seed(mixed >> 32)


def flip(x: Shaped[Tensor, "n c h w"], chosen: Bool[Tensor, " n"]) -> Shaped[Tensor, "n c h w"]:
    """Mirror the chosen images left-right."""
    # a choice among whole images copies rows; `torch.where` would look at each pixel, at three times the cost
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
    # one ring of zeros serves every padding: what lies further out reads it too
    ringed = torch.nn.functional.pad(x, (1, 1, 1, 1))
    return take(ringed, rows.clamp(-1, h) + 1, cols.clamp(-1, w) + 1)


def shift(x: Num[Tensor, "n c h w"], steps: Float[Tensor, "n 2"]) -> Float[Tensor, "n c h w"]:
    """Read each image at its pixel plus a step: bilinear between pixels, the nearest edge pixel outside.

    Args:
        x: images.
        steps: step down and step right [pixels], any fraction.
    """
    h, w = x.shape[2:]
    rows = steps[:, :1] + torch.arange(h, device=x.device)
    cols = steps[:, 1:] + torch.arange(w, device=x.device)
    return read(x, rows, cols)


def resized_crop(
    x: Num[Tensor, "n c h w"], boxes: Float[Tensor, "n 4"], *, size: tuple[int, int]
) -> Float[Tensor, "n c r s"]:
    """Cut a box out of each image and stretch it, bilinear with pixel centres aligned.

    Args:
        x: images.
        boxes: top, left, height, width of each box [pixels], inside the image.
        size: rows and columns of the result [pixels]; far fewer than the box has would alias.
    """
    h, w = size
    top, left, height, width = (column[:, None] for column in boxes.unbind(1))
    rows = top + (torch.arange(h, device=x.device) + 0.5) * height / h - 0.5
    cols = left + (torch.arange(w, device=x.device) + 0.5) * width / w - 0.5
    # a box reads no pixel outside itself
    rows = rows.clamp(min=top, max=top + height - 1)
    cols = cols.clamp(min=left, max=left + width - 1)
    return read(x, rows, cols)


def cutout(x: Float[Tensor, "n c h w"], centres: Int64[Tensor, "n 2"], *, side: int) -> Float[Tensor, "n c h w"]:
    """Set a square of each image to zero; what falls outside the image is lost, as in the paper.

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


def move(x: Num[Tensor, "n c h w"], augment: Augment, random: Generator, *, size: int = 0) -> Num[Tensor, "n c r s"]:
    """Apply what comes before normalisation, in its order: resized crop, shift, crop, flip.

    Args:
        x: images, bytes or floats; bytes stay bytes where no pixel is interpolated.
        augment: what to do.
        random: generator on the CPU.
        size: side to which the images are stretched first [pixels]; 0 keeps theirs.

    Returns:
        Changed images.
    """
    n, _, h, w = x.shape
    if augment.resized_crop:
        boxes = draw_boxes(n, h, w, smallest=augment.resized_crop, random=random).to(x.device)
        x = resized_crop(x, boxes, size=(size or h, size or w))
    else:
        x = stretch(x, size)
    if any(augment.shift):
        largest = torch.tensor([augment.shift[0] * x.shape[2], augment.shift[1] * x.shape[3]])
        x = shift(x, ((2 * torch.rand(n, 2, generator=random) - 1) * largest).to(x.device))
    if augment.crop:
        corners = torch.randint(2 * augment.crop + 1, (n, 2), generator=random).to(x.device)
        x = crop(x, corners, pad=augment.crop, padding=augment.padding)
    if augment.flip:
        x = flip(x, (torch.rand(n, generator=random) < 0.5).to(x.device))
    return x


def stretch(x: Num[Tensor, "n c h w"], size: int) -> Num[Tensor, "n c r s"]:
    """Stretch whole images to a square of another size; 0 keeps theirs."""
    n, _, h, w = x.shape
    if size in (0, h) and size in (0, w):
        return x
    whole = torch.tensor([0.0, 0.0, h, w], device=x.device).expand(n, 4)
    return resized_crop(x, whole, size=(size, size))


def draw_boxes(n: int, h: int, w: int, *, smallest: float, random: Generator) -> Float[Tensor, "n 4"]:
    """Draw boxes of a share of the area (uniform) and an aspect of 3/4 to 4/3 (log-uniform), in whole pixels.

    Of ten draws the first that fits into the image counts; if none does, the last is cut to the image.

    Args:
        n: number of boxes.
        h: rows of the image.
        w: columns of the image.
        smallest: smallest share of the area [1].
        random: generator on the CPU.

    Returns:
        Top, left, height, width [pixels].

    Source:
        Szegedy et al., arXiv:1409.4842, section 6; ten draws as in torchvision.
    """
    share, aspect = torch.rand(2, n, _DRAWS, generator=random)
    area = (smallest + (1 - smallest) * share) * (h * w)
    ratio = torch.exp((2 * aspect - 1) * math.log(4 / 3))
    height, width = (area / ratio).sqrt().round(), (area * ratio).sqrt().round()
    fits = (height <= h) & (width <= w) & (height >= 1) & (width >= 1)
    fits[:, -1] = True
    chosen = fits.int().argmax(1, keepdim=True)
    height = height.gather(1, chosen)[:, 0].clamp(1, h)
    width = width.gather(1, chosen)[:, 0].clamp(1, w)
    down, right = torch.rand(2, n, generator=random)
    top = (down * (h - height + 1)).floor().clamp(max=h - height)
    left = (right * (w - width + 1)).floor().clamp(max=w - width)
    return torch.stack([top, left, height, width], dim=1)


def draw_cutout(n: int, h: int, w: int, *, random: Generator) -> Int64[Tensor, "n 2"]:
    """Draw the centres of Cutout squares, every pixel of the image alike.

    Source:
        DeVries and Taylor, arXiv:1708.04552, section 3.2.
    """
    return torch.stack([torch.randint(h, (n,), generator=random), torch.randint(w, (n,), generator=random)], dim=1)
