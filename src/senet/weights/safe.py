"""Safe reading of untrusted weights files: no code in them is executed, and memory use is bounded.

Names, shapes and sizes are read and checked first, and values only if these are acceptable. `.safetensors` is the
preferred format. Of pickles, only what `torch.save` writes for weights is accepted (`torch_file`), and read with
`torch.load(weights_only=True)`.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from senet.errors import CheckpointError, reason_of
from senet.weights.torch_file import LONGEST_DIRECTORY, WRAPPERS, read_torch_file

__all__ = ["read_weights"]

TORCH_FILES = (".pt", ".pth", ".bin", ".ckpt", ".tar")
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile


@dataclass(frozen=True)
class TensorHeader:
    """The description of a dense tensor in a file.

    Attributes:
        shape: sizes of the tensor [1].
        size: memory that it takes when stored densely [bytes]; exceeds the data in the file for an expanded tensor.
    """

    shape: tuple[int, ...]
    size: int


def read_weights(
    path: Path, *, expected: Mapping[str, tuple[int, ...]] | None = None, budget_bytes: int | None = None
) -> dict[str, Tensor]:
    """Read weights from an untrusted file.

    A file of `torch.save` may hold the state dict itself, or a dict with it under one of the keys `state_dict_ema`,
    `model_ema`, `ema_state_dict`, `state_dict`, `model_state_dict`, `model`, `net`; the first that exists counts.
    Settings, metrics and optimizer state beside it are ignored. The prefixes `module.` and `_orig_mod.` are removed if
    all names have them.

    Args:
        path: a `.safetensors` file, or one of `torch.save`: `.pt`, `.pth`, `.bin`, `.ckpt` or `.tar`.
        expected: shape of each tensor by name, if the file must hold exactly these; None allows any.
        budget_bytes: maximum memory of all tensors [bytes]; None means four times the size of the file, and at most
            twice the size of `expected` in float32.

    Returns:
        Tensors by name on the CPU, contiguous, sharing no memory with the file or each other.

    Raises:
        CheckpointError: if the file is missing, damaged, hostile, or not as expected; a pickle that names other
            Python objects than weights need is rejected with their names.

    Example:
        >>> read_weights(Path("model.safetensors"), expected={"fc.weight": (10, 64)})  # doctest: +SKIP
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; pass the path of a weights file.")
    suffix = path.suffix.lower()
    if suffix != ".safetensors" and suffix not in TORCH_FILES:
        raise CheckpointError(
            f"{path}: file type {suffix!r} is not supported; use one of: .safetensors, {', '.join(TORCH_FILES)}."
        )
    size = path.stat().st_size
    if budget_bytes is None:
        wanted = size if expected is None else 2 * sum(prod(shape) for shape in expected.values())
        budget_bytes = 4 * min(size, wanted)
    try:
        if suffix == ".safetensors":
            return _read_safetensors(path, size, expected, budget_bytes)
        return _read_torch(path, size, expected, budget_bytes)
    except CheckpointError as error:
        raise CheckpointError(f"{path} is rejected: {reason_of(error)}.") from error
    except Exception as error:  # the readers raise many types of exceptions on damaged files
        what = " ".join(f"{type(error).__name__}: {error}"[:300].split())
        raise CheckpointError(f"{path} is damaged ({what}); download or copy it again.") from error


def _read_safetensors(
    path: Path, size: int, expected: Mapping[str, tuple[int, ...]] | None, budget: int
) -> dict[str, Tensor]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(LONGEST_DIRECTORY, size - 8):
            raise CheckpointError(f"its header declares {length:,} bytes; at most {LONGEST_DIRECTORY:,} are read")
        header = json.loads(file.read(length), object_pairs_hook=_each_once)
    tensors = {
        name: TensorHeader(tuple(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in header.items()
        if name != "__metadata__"
    }
    names = _names(tensors)
    _check({names[name]: tensor for name, tensor in tensors.items()}, expected, budget)
    with safe_open(path, framework="pt") as file:
        return {names[name]: file.get_tensor(name).clone() for name in tensors}


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Build a dict from JSON pairs; reject duplicate names, which JSON parsers resolve differently."""
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise CheckpointError(f"its header has {name[:80]!r} twice")
        table[name] = value
    return table


def _read_torch(
    path: Path, size: int, expected: Mapping[str, tuple[int, ...]] | None, budget: int
) -> dict[str, Tensor]:
    loaded = read_torch_file(path, size)
    headers = {name: _header(name, value) for name, value in dict.items(loaded)}
    names = _names(headers)
    _check(
        {names[name]: header for name, header in headers.items() if isinstance(header, TensorHeader)}, expected, budget
    )
    return {
        names[name]: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in dict.items(loaded)
    }


def _header(name: object, value: Any) -> TensorHeader | str:
    """Return the header of a dense tensor; for any other value the name of its kind."""
    if not isinstance(value, Tensor):
        return type(value).__name__.strip("_")
    if value.layout != torch.strided or value.is_quantized or value.is_nested:
        return f"{value.layout} tensor"
    last = sum((length - 1) * step for length, step in zip(value.shape, value.stride(), strict=True))
    start, item = value.storage_offset(), value.element_size()
    if value.numel() and (
        min(value.stride(), default=0) < 0 or item * (start + last + 1) > value.untyped_storage().nbytes()
    ):
        raise CheckpointError(f"{str(name)[:80]!r} reaches beyond its storage")
    return TensorHeader(tuple(value.shape), value.numel() * item)


def _names(tensors: Mapping[Any, Any]) -> dict[str, str]:
    """Return the name without wrapper prefixes for every name in the file."""
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, TensorHeader):
            kind = "Tensor" if isinstance(value, TensorHeader) else value
            raise CheckpointError(
                f"{repr(name)[:80]} is of type {kind}, but only named tensors are allowed; "
                f"save only the state dict, or put it under one of {', '.join(WRAPPERS)}"
            )
    if not tensors:
        raise CheckpointError("it holds no tensors")
    names = {name: name for name in tensors}
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in names.values())), ""):
        names = {name: short.removeprefix(prefix) for name, short in names.items()}
    return names


def _check(tensors: Mapping[str, TensorHeader], expected: Mapping[str, tuple[int, ...]] | None, budget: int) -> None:
    """Raise an error if tensors are not as expected, or would take too much memory."""
    for name, shape in (expected or {}).items():
        if name not in tensors:
            raise CheckpointError(f"it lacks {name!r} {tuple(shape)}; it belongs to another network")
        if tensors[name].shape != tuple(shape):
            raise CheckpointError(f"{name!r} has shape {tensors[name].shape}, expected {tuple(shape)}")
    if expected is not None and len(tensors) > len(expected):
        surplus = next(name for name in tensors if name not in expected)
        raise CheckpointError(f"it holds {surplus!r}, which is not expected; it belongs to another network")
    total = sum(tensor.size for tensor in tensors.values())
    if total > budget:
        raise CheckpointError(f"its tensors would take {total:,} bytes; at most {budget:,} are allowed (budget_bytes)")
