"""From the bytes of a picture file to RGB pixels, refusing what is broken, hostile or no picture.

Pillow does the decoding, with a fixed list of formats and no more than `MAX_PIXELS`: a PNG of 21 KB can hold 169
million pixels. An EXIF orientation is applied, alpha is dropped, CMYK is converted, of 16 bits the upper 8 are kept,
of an animation the first frame.
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
MAX_ASPECT = 100  # the short side is what gets resized: 1x50000 pixels would become 256x12800000

# what Pillow logs on odd files is for programs that ask for it; Python would print it where nothing is set up
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
    """One picture cannot be used; the text says why."""


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
        Rows and columns of the upright picture [pixels].

    Raises:
        UnreadableImage: if it is no picture of `FORMATS`, or has more than `MAX_PIXELS`.
    """
    with _opened(item) as picture:
        return _upright(picture)


def check(item: Path | bytes) -> tuple[int, int]:
    """Decode a picture as cheaply as its format allows, to know that it is whole; otherwise as `header`.

    Raises:
        UnreadableImage: if it cannot be decoded.
    """
    with _opened(item) as picture:
        size = _upright(picture)
        _ensure_known_range(picture)
        # JPEG reads all its bits but computes 1/64 of the pixels
        picture.draft("RGB", (1, 1))
        picture.load()
        return size


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
        _ensure_known_range(picture)
        picture.load()
        turn = _TRANSPOSE.get(_orientation(picture))
        rgb = _rgb(picture)
        return rgb.transpose(turn) if turn is not None else rgb


def to_tensor(picture: Image.Image) -> UInt8[Tensor, "3 h w"]:
    """Copy the pixels of an RGB picture into a tensor, channels first."""
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
        # damaged files make decoders raise nearly anything: OSError, SyntaxError, ValueError, struct.error, ...
        raise UnreadableImage(_reason(item, error)) from error


def _ensure_plain(path: Path) -> None:
    """Refuse what is not a file with an end: reading a pipe or a device waits for ever."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImage("not a regular file")
    if status.st_size > MAX_BYTES:
        raise UnreadableImage(f"more than {MAX_BYTES >> 20} MiB")


def _ensure_known_range(picture: Image.Image) -> None:
    """Refuse pixels whose black and white nobody says: fractions, and whole numbers of 32 bits."""
    if picture.mode == "F" or (picture.mode == "I" and picture.format == "TIFF"):
        raise UnreadableImage("pixels of 32 bits have no known range; write 8 or 16 bits")


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
            return "a web page, not a picture"
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
    except Exception:  # damaged EXIF beside sound pixels says nothing about the orientation
        return 1


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits; `convert` would clip at 255 what it should scale
        grey = np.asarray(picture)
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # Pillow warns about the direct way, which gives the same colours
    return picture.convert("RGB")
