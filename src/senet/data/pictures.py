"""From the bytes of a picture file to RGB pixels, refusing what is broken, hostile or no picture.

Pillow does the decoding, with a fixed list of formats and no more than `MAX_PIXELS`: a PNG of 21 KB can hold 169
million pixels. An EXIF orientation is applied, alpha is dropped, CMYK is converted, of 16 bits the upper 8 are kept,
of an animation the first frame.
"""

import io
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from senet.data.source import Encoded, Pixels
from senet.errors import DataError, unknown

__all__ = [
    "FORMATS",
    "MAX_ASPECT",
    "MAX_PIXELS",
    "ON_BAD_IMAGE",
    "UnreadableImage",
    "UnreadableImages",
    "check",
    "check_all",
    "decode",
    "decode_all",
    "header",
    "plain_square",
    "quiet",
    "sizes",
    "to_tensor",
]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
MAX_PIXELS = 50_000_000
MAX_ASPECT = 100  # the short side is what gets resized: 1x50000 pixels would become 256x12800000
ON_BAD_IMAGE = ("error", "skip")

_SHOWN = 3  # names in a message
_SMALL = 8192  # bytes; threads on smaller pictures wait for each other: 32x32 pixels took 2.6 times as long
_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImage(Exception):  # noqa: N818 -- it never leaves the package
    """One picture cannot be used; the text says why."""


@dataclass
class UnreadableImages:
    """The pictures of a set that cannot be used, and what is to become of them.

    Attributes:
        policy: `error` or `skip`.
        found: why, by name.
    """

    policy: str = "error"
    found: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.policy not in ON_BAD_IMAGE:
            raise unknown("on_bad_image", self.policy, ON_BAD_IMAGE)

    def settle(self) -> tuple[str, ...]:
        """Return the note on skipped pictures, if any.

        Raises:
            DataError: if there are unreadable pictures and the policy is `error`.
        """
        if not self.found:
            return ()
        number = f"{len(self.found)} unreadable image{'s' if len(self.found) > 1 else ''}"
        names = list(self.found)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        if self.policy == "skip":
            return (f"{number} skipped: {', '.join(names[:_SHOWN])}{more}",)
        shown = ", ".join(f"{name} ({self.found[name]})" for name in names[:_SHOWN])
        raise DataError(f"{number}: {shown}{more}. Mend or delete them, or skip them with on_bad_image='skip'.")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's remarks on odd files; wrap threads as a whole, since warning filters are the process's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def header(item: Path | bytes) -> tuple[int, int]:
    """Read format and size of a picture without decoding it.

    Args:
        item: file or its content.

    Returns:
        Width and height [pixels].

    Raises:
        UnreadableImage: if it is no picture of `FORMATS`, or has more than `MAX_PIXELS`.
    """
    with _opened(item) as picture:
        return picture.size


def check(item: Path | bytes) -> None:
    """Decode a picture as cheaply as its format allows, to know that it is whole.

    Args:
        item: file or its content.

    Raises:
        UnreadableImage: if it cannot be decoded.
    """
    with _opened(item) as picture:
        # JPEG reads all its bits but computes 1/64 of the pixels
        picture.draft("RGB", (1, 1))
        picture.load()


def decode(item: Path | bytes) -> Image.Image:
    """Decode a picture to RGB.

    Args:
        item: file or its content.

    Returns:
        An upright picture of mode `RGB`.

    Raises:
        UnreadableImage: if it cannot be decoded.
    """
    with _opened(item) as picture:
        picture.load()
        turn = _TRANSPOSE.get(_orientation(picture))
        rgb = _rgb(picture)
        return rgb.transpose(turn) if turn is not None else rgb


def to_tensor(picture: Image.Image) -> UInt8[Tensor, "3 h w"]:
    """Copy the pixels of an RGB picture into a tensor, channels first."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def decode_all(
    encoded: Encoded,
    *,
    size: tuple[int, int],
    fit: Callable[[Image.Image], Image.Image] | None = None,
    bad: UnreadableImages,
) -> Pixels:
    """Decode pictures into one tensor, in their order, on all cores if they are large.

    Args:
        encoded: the pictures.
        size: rows and columns of the result [pixels].
        fit: brings a picture to that size; `None` stands for pictures that have it.
        bad: takes the pictures that cannot be used; they are left out.

    Returns:
        The readable ones.
    """
    images = np.empty((len(encoded.items), 3, *size), dtype=np.uint8)
    good = np.ones(len(encoded.items), dtype=bool)

    def one(i: int) -> str:
        try:
            picture = decode(encoded.items[i])
        except UnreadableImage as error:
            return str(error)
        picture = fit(picture) if fit else picture
        if (picture.height, picture.width) != size:
            return f"{picture.width}x{picture.height} pixels where {size[1]}x{size[0]} belong"
        images[i] = np.asarray(picture).transpose(2, 0, 1)
        return ""

    for i, why in enumerate(each(one, encoded)):
        if why:
            good[i] = False
            bad.found[encoded.names[i]] = why
    if good.all():
        return Pixels(torch.from_numpy(images), encoded.labels)
    return Pixels(torch.from_numpy(images[good]), encoded.labels[torch.from_numpy(good)])


def check_all(encoded: Encoded, *, bad: UnreadableImages, headers_only: bool = False) -> Encoded:
    """Find the pictures that cannot be used.

    Args:
        encoded: the pictures.
        bad: takes them.
        headers_only: look at format and size alone; a picture that breaks off in the middle then passes.

    Returns:
        The others.
    """

    def one(i: int) -> str:
        try:
            if headers_only:
                header(encoded.items[i])
            else:
                check(encoded.items[i])
        except UnreadableImage as error:
            return str(error)
        return ""

    reasons = list(each(one, encoded))
    bad.found |= {encoded.names[i]: why for i, why in enumerate(reasons) if why}
    return encoded[torch.tensor([i for i, why in enumerate(reasons) if not why], dtype=torch.int64)]


def sizes(encoded: Encoded, *, bad: UnreadableImages) -> set[tuple[int, int]]:
    """Collect the sizes of pictures from their headers.

    Args:
        encoded: the pictures.
        bad: takes those without a size.

    Returns:
        Rows and columns [pixels].
    """
    found: set[tuple[int, int]] = set()
    with quiet():
        for name, item in zip(encoded.names, encoded.items, strict=True):
            try:
                width, height = header(item)
            except UnreadableImage as error:
                bad.found[name] = str(error)
            else:
                found.add((height, width))
    return found


def plain_square(picture: Image.Image, size: int) -> Image.Image:
    """Resize the short side and cut the middle out, with no margin; pictures of that size stay as they are.

    Args:
        picture: any size.
        size: side of the result [pixels].
    """
    if picture.size == (size, size):
        return picture
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    return picture.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def each(task: Callable[[int], str], encoded: Encoded) -> Iterator[str]:
    """Run a task for the number of every picture, on all cores if they are large, and yield the results in order."""
    count = len(encoded.items)
    with quiet():
        if _mean_size(encoded) < _SMALL:
            yield from map(task, range(count))
            return
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            yield from pool.map(task, range(count))


def _mean_size(encoded: Encoded) -> float:
    sample = encoded.items[:: max(1, len(encoded.items) // 16)]
    sizes = [item.stat().st_size if isinstance(item, Path) else len(item) for item in sample]
    return sum(sizes) / max(1, len(sizes))


@contextmanager
def _opened(item: Path | bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise UnreadableImage(f"{width}x{height} is more than {MAX_PIXELS // 10**6} million pixels")
            if max(width, height) > MAX_ASPECT * min(width, height):
                raise UnreadableImage(f"{width}x{height} is longer than {MAX_ASPECT} times its width")
            yield picture
    except UnreadableImage:
        raise
    except Exception as error:
        # damaged files make decoders raise nearly anything: OSError, SyntaxError, ValueError, struct.error, ...
        raise UnreadableImage(_reason(item, error)) from error


def _reason(item: Path | bytes, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {MAX_PIXELS // 10**6} million pixels"
    if isinstance(error, UnidentifiedImageError):
        start = item[:64] if isinstance(item, bytes) else _start(item)
        if not start:
            return "empty file"
        if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
            return "a web page, not a picture"
        return f"none of {', '.join(FORMATS)}"
    text = str(error).splitlines()
    return text[0] if text else type(error).__name__


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF beside sound pixels says nothing about the orientation
        return 1


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits; `convert` would clip at 255 what it should scale
        grey = np.asarray(picture)
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")
