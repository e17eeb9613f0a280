"""Arrays as bytes for the page: 32-bit numbers, or codes of 8 or 16 bits between the ends of each column.

A code is a place between the least and the largest number of its column; the largest code stands for "no number". The
error is at most half a step, which the page states.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Shaped

__all__ = ["Form", "Packed", "pack"]

Form = Literal["float32", "int32", "uint16", "uint8"]


@dataclass(frozen=True)
class Packed:
    """An array, compressed."""

    form: Form
    shape: tuple[int, int]
    channels: tuple[int, ...] | None
    """Channels that its columns are; None: all, in order."""
    data: bytes
    error: float
    """Largest difference from the numbers that were packed."""

    @property
    def size(self) -> int:
        """Bytes in the page, where they stand as base64."""
        return 4 * len(self.data) // 3 + 1

    def record(self, part: int) -> dict[str, Any]:
        """Return its description in the data of the page.

        Args:
            part: its place among the compressed parts.
        """
        return {"part": part, "form": self.form, "shape": self.shape, "channels": self.channels}


def pack(values: Shaped[np.ndarray, "rows c"], form: Form, *, channels: Sequence[int] | None = None) -> Packed:
    """Return an array packed in a form.

    Args:
        values: numbers, NaN where there is none.
        form: 32 bits, or codes of 16 or 8 bits.
        channels: columns to keep; None keeps all.
    """
    kept = values if channels is None else values[:, list(channels)]
    if form in ("float32", "int32"):
        data, error = np.ascontiguousarray(kept, dtype=f"<{form[0]}4").tobytes(), 0.0
    else:
        data, error = _coded(np.asarray(kept, dtype=np.float64), form)
    listed = None if channels is None else tuple(channels)
    return Packed(form, (kept.shape[0], kept.shape[1]), listed, zlib.compress(data), error)


def _coded(values: Float[np.ndarray, "rows c"], form: Form) -> tuple[bytes, float]:
    """Return the least and largest number of each column, then the codes; and half of the largest step."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    low, high = (np.where(np.isfinite(ends), ends, 0.0).astype("<f4") for ends in (low, high))
    top = np.iinfo(form).max - 1
    span = np.where(high > low, high - low, 1.0).astype(np.float64)
    places = np.rint((np.where(known, values, low) - low) / span * top)
    codes = np.where(known, np.clip(places, 0, top), top + 1).astype(f"<u{np.dtype(form).itemsize}")
    return low.tobytes() + high.tobytes() + codes.tobytes(), float((high - low).max(initial=0.0) / top / 2)
