"""Decode image files (JPEG, PNG, ...) to RGB pixels; damaged, hostile and unknown files raise `UnreadableImage`.

Pillow decodes a fixed list of formats and at most `MAX_PIXELS`: a PNG of 21 KB can hold 169 million pixels. The EXIF
orientation is applied, alpha is dropped, CMYK is converted, 16 bits are reduced to the upper 8, and of an animation
the first frame is used.
"""

import io
import logging
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from senet.data.labels import printable

__all__ = [
    "FORMATS",
    "MAX_ASPECT",
    "MAX_PIXELS",
    "UnreadableImage",
    "check",
    "decode",
    "header",
    "quiet",
    "to_tensor",
]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAX_PIXELS = 50_000_000
MAX_BYTES = 2**30  # of a file
MAX_ASPECT = 100  # the short side is resized: 1x50000 pixels would become 256x12800000

# without a handler, Python would print Pillow's log messages
logging.getLogger("PIL").addHandler(logging.NullHandler())

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
    """An image cannot be decoded; the message is the reason."""


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Pillow's warnings; must enclose all threads, because warning filters belong to the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def header(item: Path | bytes) -> tuple[int, int]:
    """Read the size of an image without decoding it.

    Returns:
        Rows and columns of the upright image [pixels].

    Raises:
        UnreadableImage: if its format is not one of `FORMATS`, or it has more than `MAX_PIXELS`.
    """
    with _opened(item) as picture:
        return _upright(picture)


def check(item: Path | bytes) -> tuple[int, int]:
    """Decode an image as cheaply as its format allows, to detect damage; otherwise like `header`.

    Raises:
        UnreadableImage: if it cannot be decoded.
    """
    with _opened(item) as picture:
        size = _upright(picture)
        _ensure_known_range(picture)
        # the JPEG decoder then reads all bits but computes 1/64 of the pixels
        picture.draft("RGB", (1, 1))
        picture.load()
        return size


def decode(item: Path | bytes) -> Image.Image:
    """Decode an image to RGB.

    Returns:
        An upright image of mode `RGB`.

    Raises:
        UnreadableImage: if it cannot be decoded.
    """
    with _opened(item) as picture:
        _ensure_known_range(picture)
        picture.load()
        turn = _TRANSPOSE.get(_orientation(picture))
        rgb = _rgb(picture)
        return rgb.transpose(turn) if turn is not None else rgb


def to_tensor(picture: Image.Image) -> UInt8[Tensor, "3 h w"]:
    """Copy the pixels of an RGB image into a tensor, channels first."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


@contextmanager
def _opened(item: Path | bytes) -> Iterator[Image.Image]:
    try:
        if isinstance(item, Path):
            _ensure_plain(item)
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
        # decoders raise many types for damaged files: OSError, SyntaxError, ValueError, struct.error, ...
        raise UnreadableImage(_reason(item, error)) from error


def _ensure_plain(path: Path) -> None:
    """Raise an error unless a path is a regular file: reading a pipe or a device could block."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImage("not a regular file")
    if status.st_size > MAX_BYTES:
        raise UnreadableImage(f"more than {MAX_BYTES >> 20} MiB")


def _ensure_known_range(picture: Image.Image) -> None:
    """Raise an error for pixels without a defined range: floats, and integers of 32 bits."""
    if picture.mode == "F" or (picture.mode == "I" and picture.format == "TIFF"):
        raise UnreadableImage("pixels of 32 bits have no defined range; use 8 or 16 bits")


def _upright(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    return (width, height) if _orientation(picture) >= 5 else (height, width)


def _reason(item: Path | bytes, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {MAX_PIXELS // 10**6} million pixels"
    if isinstance(error, UnidentifiedImageError):
        start = item[:64] if isinstance(item, bytes) else _start(item)
        if not start:
            return "empty file"
        if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
            return "a web page, not an image"
        return f"none of {', '.join(FORMATS)}"
    if isinstance(error, OSError) and error.strerror:
        is_link = isinstance(item, Path) and item.is_symlink()
        return f"{'broken link: ' if is_link else ''}{error.strerror}"
    text = str(error).splitlines()
    return printable(text[0]) if text else type(error).__name__


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data of an intact image
        return 1


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits; `convert` would clip at 255 instead of scaling
        grey = np.asarray(picture)
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # the direct conversion has the same result with a warning
    return picture.convert("RGB")
