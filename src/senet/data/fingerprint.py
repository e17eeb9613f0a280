"""Digests of images: the proof that two runs saw the same set, and the search for test images in the training set."""

import hashlib
from pathlib import Path

from senet.data.source import Encoded, Pixels

__all__ = ["duplicates", "fingerprint"]

_DIGITS = 16
_SHOWN = 3


def fingerprint(*parts: Pixels | Encoded) -> str:
    """Digest images and labels, or the names, sizes and labels of files, in their order.

    Args:
        parts: the splits, each in memory or on disk.

    Returns:
        First 16 hex digits of a SHA-256.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Pixels):
            total.update(repr(tuple(part.images.shape)).encode())
            total.update(part.images.contiguous().numpy().data)
        else:
            for name, item in zip(part.names, part.items, strict=True):
                size = item.stat().st_size if isinstance(item, Path) else len(item)
                total.update(f"{name!r} {size}\n".encode())
        total.update(part.labels.numpy().data)
    return total.hexdigest()[:_DIGITS]


def duplicates(train: Pixels | Encoded, test: Pixels | Encoded) -> tuple[str, ...]:
    """Look for test images that are training images too, byte for byte.

    Args:
        train: training images.
        test: test images.

    Returns:
        A note if there are any.
    """
    known = {digest: i for i, digest in reversed(list(enumerate(_digests(train))))}
    twins = [(i, known[digest]) for i, digest in enumerate(_digests(test)) if digest in known]
    if not twins:
        return ()
    shown = ", ".join(f"{_name(test, i)} = {_name(train, j)}" for i, j in twins[:_SHOWN])
    more = f" and {len(twins) - _SHOWN} more" if len(twins) > _SHOWN else ""
    return (f"{len(twins)} test images are training images too (test = train): {shown}{more}",)


def _digests(part: Pixels | Encoded) -> list[bytes]:
    if isinstance(part, Pixels):
        return [hashlib.sha256(image.data).digest() for image in part.images.contiguous().numpy()]
    return [hashlib.sha256(item.read_bytes() if isinstance(item, Path) else item).digest() for item in part.items]


def _name(part: Pixels | Encoded, index: int) -> str:
    return part.names[index] if isinstance(part, Encoded) else str(index)
