"""Digests of images: compare the data sets of two runs, and find test images in the training set."""

import hashlib

from senet.data.dataset import Loaded
from senet.data.file_split import Files
from senet.data.labels import printable
from senet.text import listed

__all__ = ["duplicates", "fingerprint"]

_DIGITS = 16
_SHOWN = 3


def fingerprint(*parts: Loaded) -> str:
    """Return a digest of images and labels in their order; images from files count by names and contents.

    Returns:
        First 16 hex digits of a SHA-256.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Files) or part.digests:
            for name, digest in zip(part.names, part.digests, strict=True):
                total.update(f"{name!r} {digest}\n".encode())
        else:
            total.update(repr(tuple(part.images.shape)).encode())
            total.update(part.images.contiguous().numpy().data)
        total.update(part.labels.numpy().data)
    return total.hexdigest()[:_DIGITS]


def duplicates(train: Loaded, test: Loaded) -> tuple[str, ...]:
    """Find test images that are also training images, byte for byte.

    Returns:
        A note if there are any.
    """
    known = {digest: i for i, digest in reversed(list(enumerate(_digests(train))))}
    twins = [f"{_name(test, i)} = {_name(train, known[d])}" for i, d in enumerate(_digests(test)) if d in known]
    pairs = listed(twins, _SHOWN)
    return (f"{len(twins)} test images are training images too (test = train): {pairs}",) if twins else ()


def _digests(part: Loaded) -> list[str]:
    if isinstance(part, Files) or part.digests:
        return list(part.digests)
    return [hashlib.sha256(image.data).hexdigest() for image in part.images.contiguous().numpy()]


def _name(part: Loaded, index: int) -> str:
    return printable(part.names[index]) if part.digests else str(index)
