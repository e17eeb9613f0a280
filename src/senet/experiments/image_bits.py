"""Encode which test images are classified correctly: one bit per image, in the order of the data, in base64."""

import base64
import binascii
from typing import Any

from senet.errors import SpecError

__all__ = ["check_bits", "pack", "unpack"]


def pack(right: Any) -> str:
    """Return the correctly classified images as text: 1,668 characters for 10,000 images.

    Example:
        >>> pack([True, False, True])
        'oA=='
    """
    import numpy as np

    return base64.b64encode(np.packbits(np.asarray(right, dtype=bool)).tobytes()).decode()


def unpack(text: str, total: int) -> Any:
    """Return an array of 0 and 1 for each of `total` images.

    Example:
        >>> unpack("oA==", 3).tolist()
        [1, 0, 1]
    """
    import numpy as np

    return np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=total)


def check_bits(text: str, *, correct: int, total: int) -> None:
    """Refuse a record of right images that contradicts the counts.

    Raises:
        SpecError: if it is damaged.
    """
    if not text:
        return
    try:
        held = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SpecError("right is not base64; the record is damaged or was edited.") from None
    bits = int.from_bytes(held)
    if len(held) != -(-total // 8) or bits & ((1 << (8 * len(held) - total)) - 1):
        raise SpecError(f"right holds {8 * len(held)} bits for {total} test images; the record is damaged.")
    if bits.bit_count() != correct:
        raise SpecError(f"right marks {bits.bit_count()} images and the curve {correct}; the record is damaged.")
