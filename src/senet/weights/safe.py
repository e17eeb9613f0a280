"""Weights files of strangers: nothing in them is executed, and none of them fills the memory.

What a file says about itself is read first and weighed; values are read only when names, shapes and the sum of the
sizes are agreed. `.safetensors` is the format to ask for. Of the pickles only what `torch.save` writes for weights
is read (`torch_file`), and by nothing but `torch.load(weights_only=True)`.
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

from senet.errors import CheckpointError
from senet.weights.torch_file import LONGEST_DIRECTORY, WRAPPERS, read_torch_file

__all__ = ["read_weights"]

TORCH_FILES = (".pt", ".pth", ".bin", ".ckpt", ".tar")
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile


@dataclass(frozen=True)
class Claim:
    """A dense tensor as a file describes it.

    Attributes:
        shape: its sizes [1].
        size: what it takes when it is stored densely [bytes]; more than the file has, for an expanded one.
    """

    shape: tuple[int, ...]
    size: int


def read_weights(
    path: Path, *, expected: Mapping[str, tuple[int, ...]] | None = None, budget_bytes: int | None = None
) -> dict[str, Tensor]:
    """Read the weights in a file from anywhere.

    A file of `torch.save` may hold the state dict itself, or a dict with it under the first that is there of
    `state_dict_ema`, `model_ema`, `ema_state_dict`, `state_dict`, `model_state_dict`, `model`, `net`; settings,
    metrics and the state of an optimizer beside it are left alone. The prefixes `module.` and `_orig_mod.` go when
    all names carry them.

    Args:
        path: `.safetensors`, or what `torch.save` wrote as `.pt`, `.pth`, `.bin`, `.ckpt` or `.tar`.
        expected: shape of each tensor by name, when the file must hold these and no others; None: any.
        budget_bytes: what the tensors may take together [bytes]; None: four times the size of the file, and at most
            twice what `expected` takes in float32.

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
    if suffix != ".safetensors" and suffix not in TORCH_FILES:
        raise CheckpointError(f"{path}: {suffix!r} is not read; give one of .safetensors, {', '.join(TORCH_FILES)}.")
    size = path.stat().st_size
    if budget_bytes is None:
        wanted = size if expected is None else 2 * sum(prod(shape) for shape in expected.values())
        budget_bytes = 4 * min(size, wanted)
    try:
        if suffix == ".safetensors":
            return _read_safetensors(path, size, expected, budget_bytes)
        return _read_torch(path, size, expected, budget_bytes)
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
        header = json.loads(file.read(length), object_pairs_hook=_each_once)
    tensors = {
        name: Claim(tuple(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in header.items()
        if name != "__metadata__"
    }
    names = _names(tensors)
    _weigh({names[name]: tensor for name, tensor in tensors.items()}, expected, budget)
    with safe_open(path, framework="pt") as file:
        return {names[name]: file.get_tensor(name).clone() for name in tensors}


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Make a table of JSON; the file is read by others too, who may take another one of two equal names."""
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
    claims = {name: _claim(name, value) for name, value in dict.items(loaded)}
    names = _names(claims)
    _weigh({names[name]: claim for name, claim in claims.items() if isinstance(claim, Claim)}, expected, budget)
    return {
        names[name]: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in dict.items(loaded)
    }


def _claim(name: object, value: Any) -> Claim | str:
    """Return what a tensor says of itself; of anything else the name of its class."""
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
    return Claim(tuple(value.shape), value.numel() * item)


def _names(tensors: Mapping[Any, Any]) -> dict[str, str]:
    """Give for each name in the file the one that is meant, without the wrappers' prefixes."""
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Claim):
            kind = "Tensor" if isinstance(value, Claim) else value
            raise CheckpointError(
                f"{repr(name)[:80]} is of type {kind}, where only tensors with names may be; "
                f"save the state dict alone, or under one of {', '.join(WRAPPERS)}"
            )
    if not tensors:
        raise CheckpointError("it holds no tensors")
    names = {name: name for name in tensors}
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in names.values())), ""):
        names = {name: short.removeprefix(prefix) for name, short in names.items()}
    return names


def _weigh(tensors: Mapping[str, Claim], expected: Mapping[str, tuple[int, ...]] | None, budget: int) -> None:
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
