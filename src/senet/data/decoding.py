"""All pictures of a set: decoding them into one tensor, or finding those that cannot be used."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from senet.data.pictures import UnreadableImage, check, decode, header, quiet
from senet.data.source import Encoded, Pixels
from senet.errors import DataError, unknown

__all__ = ["ON_BAD_IMAGE", "UnreadableImages", "check_all", "decode_all", "sizes"]

ON_BAD_IMAGE = ("error", "skip")

_SHOWN = 3  # names in a message
_SMALL = 8192  # bytes; threads on smaller pictures wait for each other: 32x32 pixels took 2.6 times as long
_CHUNK = 64  # pictures a task: a million tasks of one picture would take a gigabyte


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
        raise DataError(f"{number}: {shown}{more}. Mend or delete them, or skip them (--on-bad-image skip).")


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

    for i, why in enumerate(_each(one, encoded)):
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

    reasons = list(_each(one, encoded))
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


def _each(task: Callable[[int], str], encoded: Encoded) -> Iterator[str]:
    """Run a task for the number of every picture, on all cores if they are large, and yield the results in order."""
    count = len(encoded.items)
    with quiet():
        if _mean_size(encoded) < _SMALL:
            yield from map(task, range(count))
            return
        chunks = (range(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK))
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            for results in pool.map(lambda chunk: [task(i) for i in chunk], chunks):
                yield from results


def _mean_size(encoded: Encoded) -> float:
    sample = encoded.items[:: max(1, len(encoded.items) // 16)]
    sizes = [item.stat().st_size if isinstance(item, Path) else len(item) for item in sample]
    return sum(sizes) / max(1, len(sizes))
