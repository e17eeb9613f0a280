"""Resize and crop images to the input size of the network.

Test images equal those of torchvision's `Resize` and `CenterCrop` to the last bit; training images with a resized crop
equal those of `RandomResizedCrop` for the same box up to rounding. Files are resized by Pillow, images in memory by
`resample`, with the same bits.

`n` images, `c` channels, `h` rows, `w` columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Num, UInt8
from PIL import Image
from torch import Tensor

from senet.data.image_decoding import UnreadableImage
from senet.data.resample import resample, weights
from senet.experiments.data_spec import DataSpec

__all__ = ["DEFAULT_SIDE", "Frame", "frame_of"]

DEFAULT_SIDE = 224
"""Default side of photographs [pixels]."""

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Frame:
    """Resizing and cropping of an image.

    Attributes:
        height: rows of the result [pixels].
        width: columns of the result [pixels].
        short: length to which the short side is resized before the center crop [pixels]; 0 for images of the final
            size.
        interpolation: `bilinear` or `bicubic`.
    """

    height: int
    width: int
    short: int = 0
    interpolation: str = "bilinear"

    def centre(self, picture: Image.Image) -> Image.Image:
        """Resize the short side and crop the center.

        Raises:
            UnreadableImage: if `short` is 0 and the image has another size.
        """
        if not self.short:
            if picture.size != (self.width, self.height):
                raise UnreadableImage(f"{picture.width}x{picture.height} pixels, expected {self.width}x{self.height}")
            return picture
        height, width = self._resized(picture.height, picture.width)
        top, left = self._corner(height, width)
        whole = picture.resize((width, height), _FILTERS[self.interpolation])
        return whole.crop((left, top, left + self.width, top + self.height))

    def part(self, picture: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
        """Crop a box (top, left, height, width) [pixels] and resize it."""
        top, left, height, width = box
        cut = picture.crop((left, top, left + width, top + height))
        # columns first: the order of Pillow's own passes depends on its version and on the sizes
        narrow = cut.resize((self.width, height), _FILTERS[self.interpolation])
        return narrow.resize((self.width, self.height), _FILTERS[self.interpolation])

    def centres(self, x: Num[Tensor, "n c h w"]) -> Num[Tensor, "n c r s"]:
        """Apply `centre` to square images in memory (of which Pillow resizes the columns first)."""
        if not self.short:
            return x
        height, width = self._resized(*x.shape[2:])
        top, left = self._corner(height, width)
        zero = torch.zeros(1)
        sides = (
            (x.shape[2], height, range(top, top + self.height)),
            (x.shape[3], width, range(left, left + self.width)),
        )
        rows, cols = (
            weights(zero, zero + pixels, pixels=pixels, size=size, kept=kept, interpolation=self.interpolation)
            for pixels, size, kept in sides
        )
        return resample(x, rows, cols)

    def parts(self, x: UInt8[Tensor, "n c h w"], boxes: Float[Tensor, "n 4"]) -> UInt8[Tensor, "n c r s"]:
        """Apply `part` to images in memory, with one box for each."""
        top, left, height, width = boxes.unbind(1)
        rows, cols = (
            weights(start, length, pixels=pixels, size=size, kept=range(size), interpolation=self.interpolation)
            for start, length, pixels, size in (
                (top, height, x.shape[2], self.height),
                (left, width, x.shape[3], self.width),
            )
        )
        return resample(x, rows, cols)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """Return rows and columns after resizing, rounded as in torchvision."""
        shorter = min(height, width)
        return int(self.short * height / shorter), int(self.short * width / shorter)

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        """Return top and left of the center crop, rounded as in torchvision."""
        return round((height - self.height) / 2), round((width - self.width) / 2)


def frame_of(spec: DataSpec, sizes: set[tuple[int, int]], *, kept: int) -> Frame:
    """Return the frame of a data set: by the spec, or without resizing if all images have one small size.

    Args:
        spec: size, crop and interpolation.
        sizes: rows and columns of all images.
        kept: longest side of images that are not resized if the spec has no size [pixels].
    """
    height, width = next(iter(sizes))
    if not spec.size and len(sizes) == 1 and max(height, width) <= kept:
        return Frame(height, width, interpolation=spec.interpolation)
    side = spec.size or DEFAULT_SIDE
    return Frame(side, side, round(side / spec.crop), spec.interpolation)
