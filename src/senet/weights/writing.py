"""Write tensors as a safetensors file."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from senet.files.atomic import write_bytes

__all__ = ["write_weights"]


def write_weights(path: Path, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None) -> None:
    """Write a state dict as a safetensors file, whole or not at all.

    Args:
        path: the file.
        tensors: by name, on any device; tensors that share memory are written separately.
        metadata: strings for the header; None writes `{"format": "pt"}`, which other libraries look for.

    Raises:
        StorageError: if the file cannot be written.
    """
    ready = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    write_bytes(path, save(ready, metadata={"format": "pt"} if metadata is None else dict(metadata)))
