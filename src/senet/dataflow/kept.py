"""Observe which tensors autograd saves in a forward pass for the backward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["keeping"]


@contextmanager
def keeping(note: Callable[[torch.UntypedStorage], None]) -> Iterator[None]:
    """Call `note` once for each storage that autograd saves inside the context."""
    seen: dict[int, torch.UntypedStorage] = {}  # keeps the storages alive, so that ids stay unique

    def pack(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        if id(storage) not in seen:
            seen[id(storage)] = storage
            note(storage)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        yield
