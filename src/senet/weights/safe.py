"""Weights files of strangers: nothing in them is executed, and none of them fills the memory.

What a file says about itself is read first and weighed; values are read only when names, shapes and the sum of the
sizes are agreed. `.safetensors` is the format to ask for. Of the pickles only what `torch.save` writes for weights
is read (`pickled.py`), and by nothing but `torch.load(weights_only=True)`.
"""

import json
import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from senet.errors import CheckpointError
from senet.weights.pickled import LONGEST, Blueprint, globals_named, read_blueprint

__all__ = ["read_weights"]

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".tar")
# Where training scripts put the state dict, in the order of preference: the averaged weights are the measured ones.
WRAPPERS = ("state_dict_ema", "model_ema", "ema_state_dict", "state_dict", "model_state_dict", "model", "net")
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
LEGACY_PICKLES = 5
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile
LONGEST_DIRECTORY = 2 * 2**20  # header of safetensors, directory of a zip [bytes]: some 20,000 tensors


def read_weights(
    path: Path, *, expected: Mapping[str, tuple[int, ...]] | None = None, budget_bytes: int | None = None
) -> dict[str, Tensor]:
    """Read the weights in a file from anywhere.

    A pickle may hold the state dict itself, or a dict with it under the first that is there of `state_dict_ema`,
    `model_ema`, `ema_state_dict`, `state_dict`, `model_state_dict`, `model`, `net`. The prefixes `module.` and
    `_orig_mod.` go when all names carry them.

    Args:
        path: `.safetensors`, or what `torch.save` wrote as `.pt`, `.pth`, `.bin`, `.ckpt` or `.tar`.
        expected: shape of each tensor by name, when the file must hold these and no others; None: any.
        budget_bytes: what the tensors may take together [bytes]; None: twice what `expected` takes in float32, or
            four times the size of the file.

    Returns:
        Tensors by name on the CPU, contiguous, none of them tied to the file or to another.

    Raises:
        CheckpointError: if the file is missing, damaged, hostile, or not what was expected; pickles that name other
            Python objects than weights need are refused with these names.

    Example:
        >>> read_weights(Path("model.safetensors"), expected={"fc.weight": (10, 64)})  # doctest: +SKIP
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file; give the path of a weights file.")
    suffix = path.suffix.lower()
    if suffix != ".safetensors" and suffix not in PICKLES:
        raise CheckpointError(f"{path}: {suffix!r} is not read; give one of .safetensors, {', '.join(PICKLES)}.")
    size = path.stat().st_size
    if budget_bytes is None:
        budget_bytes = 4 * size if expected is None else 2 * sum(4 * prod(shape) for shape in expected.values())
    try:
        if suffix == ".safetensors":
            return _read_safetensors(path, size, expected, budget_bytes)
        return _read_pickle(path, size, expected, budget_bytes)
    except CheckpointError as error:
        raise CheckpointError(f"{path} is refused: {str(error)[:600]}.") from error
    except Exception as error:  # the readers raise what they like on a damaged file
        what = " ".join(f"{type(error).__name__}: {error}"[:300].split())
        raise CheckpointError(f"{path} is damaged ({what}); get it again.") from error


def _read_safetensors(
    path: Path, size: int, expected: Mapping[str, tuple[int, ...]] | None, budget: int
) -> dict[str, Tensor]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(LONGEST_DIRECTORY, size - 8):
            raise CheckpointError(f"its header claims {length:,} bytes; at most {LONGEST_DIRECTORY:,} are read")
        header = json.loads(file.read(length))
    tensors = {
        name: Blueprint(tuple(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in header.items()
        if name != "__metadata__"
    }
    names = _names(tensors)
    _weigh({names[name]: tensor for name, tensor in tensors.items()}, expected, budget)
    with safe_open(path, framework="pt") as file:
        return {names[name]: file.get_tensor(name).clone() for name in tensors}


def _read_pickle(
    path: Path, size: int, expected: Mapping[str, tuple[int, ...]] | None, budget: int
) -> dict[str, Tensor]:
    with path.open("rb") as file:
        pickles = file.read(LONGEST)  # all of them, unless it is a zip: the values of a legacy file come last
    zipped = pickles.startswith(b"PK\x03\x04")
    if zipped:
        pickles = _zipped_pickle(path, size)
    try:
        content, stored = read_blueprint(BytesIO(pickles)) if zipped else _legacy_blueprint(pickles)
    except CheckpointError as error:
        refused = globals_named(pickles, count=1 if zipped else LEGACY_PICKLES)
        if not refused:
            raise
        raise CheckpointError(
            f"it names {', '.join(refused[:10])}, and weights need no Python objects; "
            "do not load it by other means, ask for a .safetensors file"
        ) from error
    if stored > size:
        raise CheckpointError(f"it claims {stored:,} bytes of values and has {size:,}")
    wrapper = _wrapper(content)
    tensors = content if wrapper is None else content[wrapper]
    names = _names(tensors)
    _weigh({names[name]: tensor for name, tensor in tensors.items()}, expected, budget)

    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    values = loaded if wrapper is None else loaded[wrapper]
    weights: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if values[name].shape != tensor.shape:  # torch.load found another pickle in the file than we did
            raise CheckpointError(f"it says two things about {name!r}")
        weights[names[name]] = values[name].detach().clone(memory_format=torch.contiguous_format)
    return weights


def _zipped_pickle(path: Path, size: int) -> bytes:
    """Give the pickle of a zip as torch.save writes it: nothing compressed, one folder, no name twice."""
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
            raise CheckpointError("its zip has two entries of one name, or more than one folder")
        if any(name.endswith("/constants.pkl") for name in names):
            raise CheckpointError("it is a TorchScript program; ask for its state dict")
        pickles = [entry for entry in entries if entry.filename.split("/", 1)[-1] == "data.pkl"]
        if len(pickles) != 1:
            raise CheckpointError("it is a zip without a data.pkl")
        if pickles[0].file_size > LONGEST:
            raise CheckpointError(f"its pickle has {pickles[0].file_size:,} bytes; at most {LONGEST:,} are read")
        return archive.read(pickles[0])


def _directory_bytes(path: Path, size: int) -> int:
    """Say how long the directory of a zip is, before anyone reads it."""
    with path.open("rb") as file:
        file.seek(max(0, size - 2**16 - 98))  # the longest comment, the end record and its two zip64 companions
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0:
        raise CheckpointError("it is a zip without its end; get it again")
    if tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        return int(struct.unpack_from("<Q", tail, end - 76 + 40)[0])
    return int(struct.unpack_from("<I", tail, end + 12)[0])


def _legacy_blueprint(pickles: bytes) -> tuple[Any, int]:
    """Walk through the five pickles of a file from before torch 1.6: magic number, protocol, system, content, keys."""
    if not pickles.startswith(LEGACY_MAGIC):
        raise CheckpointError("it is no file of torch.save; ask for a .safetensors file")
    file = BytesIO(pickles)
    file.seek(len(LEGACY_MAGIC))
    protocol, system, content, keys = (read_blueprint(file) for _ in range(LEGACY_PICKLES - 1))
    if protocol[0] != 1001 or not isinstance(system[0], dict) or not all(isinstance(key, str) for key in keys[0]):
        raise CheckpointError("it is no file of torch.save; ask for a .safetensors file")
    return content


def _wrapper(content: Any) -> str | None:
    """Say under which name the state dict lies; None: it is the content itself."""
    if not isinstance(content, dict):
        raise CheckpointError(f"it holds a {_kind(content)}, not a dict of tensors")
    if content and all(isinstance(value, Blueprint) for value in content.values()):
        return None
    return next((name for name in WRAPPERS if isinstance(content.get(name), dict)), None)


def _kind(value: Any) -> str:
    return "Tensor" if isinstance(value, Blueprint) else type(value).__name__


def _names(tensors: Mapping[Any, Any]) -> dict[str, str]:
    """Give for each name in the file the one that is meant, without the wrappers' prefixes."""
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Blueprint):
            raise CheckpointError(
                f"{name!r} is of type {_kind(value)}, where only tensors with names may be; "
                f"save the state dict alone, or under one of {', '.join(WRAPPERS)}"
            )
    if not tensors:
        raise CheckpointError("it holds no tensors")
    names = {name: name for name in tensors}
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in names.values())), ""):
        names = {name: short.removeprefix(prefix) for name, short in names.items()}
    return names


def _weigh(tensors: Mapping[str, Blueprint], expected: Mapping[str, tuple[int, ...]] | None, budget: int) -> None:
    """Refuse what was not expected, or would take too much memory."""
    for name, shape in (expected or {}).items():
        if name not in tensors:
            raise CheckpointError(f"it lacks {name!r} {tuple(shape)}; it is made for another network")
        if tensors[name].shape != tuple(shape):
            raise CheckpointError(f"{name!r} has shape {tensors[name].shape}, {tuple(shape)} is expected")
    if expected is not None and len(tensors) > len(expected):
        surplus = next(name for name in tensors if name not in expected)
        raise CheckpointError(f"it holds {surplus!r}, which is not expected; it is made for another network")
    total = sum(tensor.size for tensor in tensors.values())
    if total > budget:
        raise CheckpointError(f"its tensors would take {total:,} bytes; at most {budget:,} are allowed (budget_bytes)")
