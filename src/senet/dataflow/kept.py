"""What autograd keeps of a forward pass for the backward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["keeping"]


@contextmanager
def keeping(note: Callable[[torch.UntypedStorage], None]) -> Iterator[None]:
    """Call `note` with the storage of everything that autograd keeps meanwhile, with each storage once."""
    seen: dict[int, torch.UntypedStorage] = {}  # held, so that no other storage gets its id

    def pack(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        if id(storage) not in seen:
            seen[id(storage)] = storage
            note(storage)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        yield
