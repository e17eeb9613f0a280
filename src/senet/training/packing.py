"""Serialize tensors and plain values to bytes with a checksum.

The bytes are a file as `torch.save` writes it, with the SHA-256 of everything before it as the comment of the zip.
`torch.load` can read it too, but does not detect most flipped bits.
"""

import hashlib
import io
import pickletools
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from senet.errors import SpecError
from senet.weights.opcodes import Opcodes

__all__ = ["pack", "unpack"]

_LEAVES = (bool, int, float, str, type(None), Tensor, torch.nn.Parameter)
_DTYPES = {torch.bool, torch.uint8, *(getattr(torch, f"int{bits}") for bits in (8, 16, 32, 64))}
_DTYPES |= {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_GLOBALS = re.compile(r"collections OrderedDict|torch [A-Z]\w+Storage|torch\._utils _rebuild_(tensor_v2|parameter)")
_DIGEST = 64  # hexadecimal digits


def pack(content: Mapping[str, Any]) -> memoryview:
    """Return the bytes of a dict.

    Args:
        content: nested dicts, lists, tuples, numbers, strings, booleans, None and dense tensors. Strides, and memory
            that tensors share, are kept.

    Raises:
        SpecError: if it holds another type, which could not be read again; names the place.
    """
    for place, part in content.items():
        _check_plain(place, part)
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    digest = _digest(buffer.getbuffer()[:-2])  # a zip ends with the length of its comment: none so far
    buffer.seek(-2, io.SEEK_END)
    buffer.write(struct.pack("<H", len(digest)) + digest)
    return buffer.getbuffer()


def unpack(data: bytes) -> dict[str, Any]:
    """Return the dict that `pack` received, its tensors on the CPU.

    Raises:
        ValueError: if a bit has changed, or `pack` did not write the bytes; before memory is allocated for them.
        Exception: whatever `torch.load` raises for a file of another version of torch.
    """
    if data[-_DIGEST - 2 :] != struct.pack("<H", _DIGEST) + _digest(memoryview(data)[: -_DIGEST - 2]):
        raise ValueError("it does not agree with its own SHA-256")
    _refuse_bombs(data)
    content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a dict")
    return content


def _digest(body: memoryview) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _refuse_bombs(data: bytes) -> None:
    """Raise an error for a file that would take more memory than it has bytes, before it is loaded.

    Raises:
        ValueError: if `torch.save` would not write a checkpoint like this.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("its zip is compressed, or has two entries of one name")
        if sum(entry.file_size for entry in entries) > len(data):
            raise ValueError("its zip entries overlap")
        content = archive.read(next(entry for entry in entries if entry.filename.endswith("/data.pkl")))
    for code, name, _ in pickletools.genops(content):
        if code.name in ("GLOBAL", "INST", "STACK_GLOBAL") and not _GLOBALS.fullmatch(str(name)):
            raise ValueError(f"it names {name}, but a checkpoint may only hold tensors and plain values")
    # tuples nested so that hashing them visits more values than the pickle has bytes would take hours
    Opcodes(steps=len(content), leaves=len(content)).check(content, count=1)


def _check_plain(place: str, value: Any) -> None:
    """Raise an error for types that `torch.load(weights_only=True)` does not read."""
    if type(value) in (dict, OrderedDict):
        for key, inner in value.items():
            _check_plain(f"{place} key {key!r}", key)
            _check_plain(f"{place}.{key}", inner)
    elif type(value) in (list, tuple):
        for index, inner in enumerate(value):
            _check_plain(f"{place}[{index}]", inner)
    elif type(value) not in _LEAVES:
        raise SpecError(
            f"{place} is of type {type(value).__qualname__}; a checkpoint holds dict, list, tuple, int, float, str, "
            "bool, None and Tensor. Convert it first."
        )
    elif isinstance(value, Tensor) and (value.layout != torch.strided or value.is_meta or value.dtype not in _DTYPES):
        raise SpecError(
            f"{place} is {value.layout} {value.dtype} on {value.device}; a checkpoint holds dense tensors with values."
        )
