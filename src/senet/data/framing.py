"""The one image path: what part of a picture the network sees, and at what size.

A test image is what torchvision's `Resize` and `CenterCrop` give, to the last bit; a training image with a resized
crop is what `RandomResizedCrop` gives for the same box, but for a rounding. Pictures that come from disk go through
Pillow, images that are kept in memory go through `resample`: the bits are the same.

`n` images, `c` channels, `h` rows, `w` columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from senet.data.image_decoding import UnreadableImage
from senet.data.resample import resample, weights
from senet.experiments.data_spec import DataSpec

__all__ = ["DEFAULT_SIDE", "Frame", "frame_of"]

DEFAULT_SIDE = 224
"""Side of photographs where nothing else is asked for [pixels]."""

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Frame:
    """What the network sees of an image.

    Attributes:
        height: rows [pixels].
        width: columns [pixels].
        short: the short side is resized to this before the middle is cut out [pixels]; 0: images have the size already.
        interpolation: `bilinear` or `bicubic`.
    """

    height: int
    width: int
    short: int = 0
    interpolation: str = "bilinear"

    def centre(self, picture: Image.Image) -> Image.Image:
        """Resize the short side and cut out the middle.

        Raises:
            UnreadableImage: if nothing is to be resized and the picture has another size.
        """
        if not self.short:
            if picture.size != (self.width, self.height):
                raise UnreadableImage(
                    f"{picture.width}x{picture.height} pixels where {self.width}x{self.height} belong"
                )
            return picture
        height, width = self._resized(picture.height, picture.width)
        top, left = self._corner(height, width)
        whole = picture.resize((width, height), _FILTERS[self.interpolation])
        return whole.crop((left, top, left + self.width, top + self.height))

    def part(self, picture: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
        """Cut out a box (top, left, height, width) [pixels] and resize it."""
        top, left, height, width = box
        cut = picture.crop((left, top, left + width, top + height))
        # columns first: which pass Pillow chooses to do first depends on its version and on the sizes
        narrow = cut.resize((self.width, height), _FILTERS[self.interpolation])
        return narrow.resize((self.width, self.height), _FILTERS[self.interpolation])

    def centres(self, x: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n c r s"]:
        """Do to square images in memory what `centre` does to a picture (Pillow resizes their columns first)."""
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
        """Do to images in memory what `part` does to a picture; a box for each."""
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
        """Rows and columns after resizing, in torchvision's rounding."""
        shorter = min(height, width)
        return int(self.short * height / shorter), int(self.short * width / shorter)

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        """Top and left of the middle, in torchvision's rounding."""
        return round((height - self.height) / 2), round((width - self.width) / 2)


def frame_of(spec: DataSpec, sizes: set[tuple[int, int]], *, kept: int) -> Frame:
    """Choose the frame of a set: as the spec says, or the images as they are where they have one small size.

    Args:
        spec: size, crop and interpolation.
        sizes: rows and columns of all images.
        kept: longest side of images that stay as they are when no size is asked for [pixels].
    """
    height, width = next(iter(sizes))
    if not spec.size and len(sizes) == 1 and max(height, width) <= kept:
        return Frame(height, width, interpolation=spec.interpolation)
    side = spec.size or DEFAULT_SIDE
    return Frame(side, side, round(side / spec.crop), spec.interpolation)
