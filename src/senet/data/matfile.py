"""Read arrays of numbers from a MATLAB file of version 5.

scipy's reader crashes on damaged files. This one reads the part of the format that SVHN uses: real numeric matrices,
compressed or not. A size that a file claims is compared with the bytes it has before memory is allocated.

Source:
    MathWorks, MAT-File Level 5 File Format.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Num

from senet.errors import DataError

__all__ = ["read_matrices"]

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_CLASSES = range(6, 16)  # double to uint64
_TYPES: Mapping[int, str] = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_RATIO, _FREE = 16, 2**24  # a matrix may be so many times as large as its compressed bytes, and this many bytes more


def read_matrices(content: bytes, names: tuple[str, ...], *, place: str) -> dict[str, Num[np.ndarray, "..."]]:
    """Read the named matrices of a file.

    Raises:
        DataError: if the file is damaged, claims too much, or a named matrix is not an array of real numbers.
    """
    found: dict[str, Num[np.ndarray, "..."]] = {}
    try:
        order = {b"IM": "<", b"MI": ">"}[content[126:_HEADER]]
        for kind, body in _elements(memoryview(content)[_HEADER:], order):
            if kind == _COMPRESSED:
                kind, body = next(_elements(_inflated(body, order, place), order))
            if kind == _MATRIX:
                parts = list(_elements(body, order))
                name = bytes(parts[2][1]).decode("ascii")
                if name in names:
                    found[name] = _matrix(parts, order, f"{place}: {name}")
    except (KeyError, IndexError, StopIteration, ValueError, struct.error, zlib.error) as error:
        raise DataError(f"{place} is not a MATLAB 5 file, or damaged; copy it again.") from error
    return found


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from(order + "II", content, at)
        if kind >> 16:  # a small element: its size is in the upper half, its content in the field of the size
            kind, size, start, at = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            start = at + 8
            at = start + (size if kind == _COMPRESSED else size + -size % 8)
        if start + size > len(content):
            raise ValueError("an element exceeds the file")
        yield kind, content[start : start + size]


def _inflated(packed: memoryview, order: str, place: str) -> memoryview:
    stream = zlib.decompressobj()
    tag = stream.decompress(packed, 8)
    size = struct.unpack(order + "II", tag)[1]
    if size > _RATIO * len(packed) + _FREE:
        raise DataError(f"{place} claims {size:,} bytes in {len(packed):,} compressed ones; get the published file.")
    body = stream.decompress(stream.unconsumed_tail, size + 1)  # one more, so that zlib reads the checksum at the end
    return memoryview(tag + body)


def _matrix(parts: list[tuple[int, memoryview]], order: str, place: str) -> Num[np.ndarray, "..."]:
    flags = struct.unpack_from(order + "I", parts[0][1])[0]
    if flags & (_COMPLEX | _LOGICAL) or flags & 0xFF not in _CLASSES or parts[3][0] not in _TYPES:
        raise DataError(f"{place} is not an array of real numbers; get the published file.")
    shape = tuple(np.frombuffer(parts[1][1], order + "i4").tolist())
    values = np.frombuffer(parts[3][1], order + _TYPES[parts[3][0]])
    if min(shape) < 0 or math.prod(shape) != len(values):
        raise ValueError("the number of values does not match the shape")
    return values.reshape(shape, order="F")
