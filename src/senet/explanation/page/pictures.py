"""The images of the page: a label for each, names and thumbnails stored once, those of the most channels first."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from senet.explanation.page.arrays import Packed, pack
from senet.explanation.page.head import cleaned
from senet.explanation.page.script_json import script_json

__all__ = ["Image", "is_picture", "most_used", "read_images"]

_PICTURE = re.compile(r"data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True)
class Image:
    """An image that is among the extremes of a channel."""

    index: int
    name: str | None
    thumbnail: str | None
    use: float
    """Sum over channels and ends: 1 for a first place, 1/2 for a second, ..."""

    @property
    def record(self) -> dict[str, Any]:
        """Its description in the data of the page."""
        return {"index": self.index, "name": self.name, "thumbnail": self.thumbnail}

    @cached_property
    def size(self) -> int:
        """Bytes of its record."""
        return len(script_json(self.record)) + 1


def is_picture(text: object) -> bool:
    """Return whether a text is a `data:` URL of an image; the page shows no other URL."""
    return isinstance(text, str) and _PICTURE.fullmatch(text) is not None


def read_images(documents: Sequence[Mapping[str, Any]]) -> tuple[Packed, list[Image]]:
    """Return the labels of all images, and the images that have a name or a thumbnail, the most used first.

    Args:
        documents: contents of `explain.json`; an image that two of them name is taken once.

    Returns:
        Two rows, numbers and labels (-1: none), and the images.
    """
    uses = _uses(documents)
    found: dict[int, dict[str, Any]] = {}
    for document in documents:
        for image in document["images"]:
            known = found.setdefault(image["index"], image)
            if not is_picture(known.get("thumbnail")):
                found[image["index"]] = image
    labels = [[image, -1 if record["label"] is None else record["label"]] for image, record in sorted(found.items())]
    images = [
        Image(
            number,
            cleaned(record.get("name")),
            record["thumbnail"] if is_picture(record.get("thumbnail")) else None,
            uses[number],
        )
        for number, record in found.items()
    ]
    images = [image for image in images if image.name is not None or image.thumbnail is not None]
    table = np.array(labels, dtype=np.int32).reshape(-1, 2).T
    return pack(table, "int32"), sorted(images, key=lambda image: (-image.use, image.index))


def _uses(documents: Sequence[Mapping[str, Any]]) -> defaultdict[int, float]:
    counts: defaultdict[int, float] = defaultdict(float)
    for document in documents:
        for block in document["blocks"]:
            for lists in (block.get("extremes") or {}).values():
                for images in lists["image"]:
                    for rank, image in enumerate(images, 1):
                        counts[image] += 1 / rank
    return counts


def most_used(images: Sequence[Image], size: int) -> list[dict[str, Any]]:
    """Return the records of the images that fit.

    Args:
        images: in the order in which they are kept.
        size: bytes for all of them.
    """
    records = []
    for image in images:
        if image.size <= size:
            size -= image.size
            records.append(image.record)
    return records
