"""Reading of `torch.save` files, both zip archives and the format before torch 1.6, with `torch.load`.

The opcodes of the pickles are checked first (`opcodes`). A zip is then memory-mapped, and a file in the old format
takes its size on disk; a tensor that is larger than its data has a shape but no memory until `safe` has checked it.
"""

import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from senet.errors import CheckpointError
from senet.weights.opcodes import DICTS, INERT, LONGEST, Opcodes

__all__ = ["LONGEST_DIRECTORY", "WRAPPERS", "read_torch_file"]

# keys of the state dict in checkpoints, in order of preference: the averaged weights are those that were evaluated
WRAPPERS = ("state_dict_ema", "model_ema", "ema_state_dict", "state_dict", "model_state_dict", "model", "net")
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
LEGACY_PICKLES = 5  # magic number, protocol, system, content, keys
LONGEST_DIRECTORY = 2 * 2**20  # zip directory or safetensors header [bytes]: about 20,000 tensors


class _Placeholder:
    """A replacement for a plain value beside the weights; it stores nothing."""

    def __new__(cls, *_: object) -> "_Placeholder":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


PLACEHOLDERS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    *((_Placeholder, name) for name in sorted(INERT - DICTS)),
    *((OrderedDict, name) for name in sorted(DICTS)),
]


def read_torch_file(path: Path, size: int) -> dict[Any, Any]:
    """Return the state dict in a file; its tensors take no more memory than the file until they are copied.

    Returns:
        The value of the first of `WRAPPERS` that exists, or the content itself.

    Raises:
        CheckpointError: if the file is hostile, damaged, or holds something else; the message is one clause.
    """
    with path.open("rb") as file:
        pickles = file.read(LONGEST)  # all pickles, unless it is a zip: the old format stores tensor data last
    zipped = pickles.startswith(b"PK\x03\x04")
    lengths: Collection[int] = ()
    if zipped:
        pickles, lengths = _zipped_pickle(path, size)
    Opcodes().check(pickles, count=1 if zipped else LEGACY_PICKLES)
    if not zipped and not pickles.startswith(LEGACY_MAGIC):
        raise CheckpointError("it is not a file of torch.save; use a .safetensors file")
    with torch.serialization.safe_globals(PLACEHOLDERS):
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    if not isinstance(content, dict):
        raise CheckpointError(f"it holds a {type(content).__name__}, not a dict of tensors")
    found = content
    if not content or not all(isinstance(value, Tensor) for value in dict.values(content)):
        found = next((inner for name in WRAPPERS if isinstance(inner := dict.get(content, name), dict)), content)
    stored = (value.untyped_storage().nbytes() for value in dict.values(found) if isinstance(value, Tensor))
    if zipped and (wrong := next((length for length in stored if length not in lengths), None)) is not None:
        raise CheckpointError(f"it refers to a storage of {wrong:,} bytes that it does not contain")
    return found


def _zipped_pickle(path: Path, size: int) -> tuple[bytes, Collection[int]]:
    """Return the pickle of a zip of torch.save, and the lengths of its entries [bytes].

    Such a zip has uncompressed entries with unique names in one folder; anything else is rejected.
    """
    directory = _directory_bytes(path, size)
    if directory > LONGEST_DIRECTORY:
        raise CheckpointError(f"its zip directory has {directory:,} bytes; at most {LONGEST_DIRECTORY:,} are read")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        packed = [
            e.filename for e in entries if e.compress_type != zipfile.ZIP_STORED or e.file_size != e.compress_size
        ]
        if packed:
            raise CheckpointError(f"its entry {packed[0]!r} is compressed, which torch.save never does")
        if sum(entry.file_size for entry in entries) > size:
            raise CheckpointError("its zip entries overlap")
        names = {entry.filename.lower() for entry in entries}
        if len(names) != len(entries) or len({name.split("/")[0] for name in names}) != 1:
            raise CheckpointError("its zip has duplicate entries, or more than one folder")
        if any(name.endswith("/constants.pkl") for name in names):
            raise CheckpointError("it is a TorchScript program; save its state dict instead")
        pickles = [entry for entry in entries if entry.filename.split("/", 1)[-1] == "data.pkl"]
        if len(pickles) != 1:
            raise CheckpointError("it is a zip without a data.pkl")
        if pickles[0].file_size > LONGEST:
            raise CheckpointError(f"its pickle has {pickles[0].file_size:,} bytes; at most {LONGEST:,} are read")
        return archive.read(pickles[0]), {0, *(entry.file_size for entry in entries)}


def _directory_bytes(path: Path, size: int) -> int:
    """Return the declared length of the directory of a zip, without reading it [bytes]."""
    with path.open("rb") as file:
        file.seek(max(0, size - 2**16 - 98))  # the longest comment, the end record and the two zip64 records
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0:
        raise CheckpointError("it is a truncated zip; download or copy it again")
    if tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        return int(struct.unpack_from("<Q", tail, end - 76 + 40)[0])
    return int(struct.unpack_from("<I", tail, end + 12)[0])
