"""Gradient checkpointing: run a part of a network again in the backward pass instead of keeping its maps."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from senet.nn.layers import BATCH_NORMS

__all__ = ["checkpointed"]


def checkpointed(part: nn.Module, x: Tensor) -> Tensor:
    """Apply a part without keeping its maps; values, gradients and running statistics are those without it.

    Without gradients this is `part(x)`. The second run repeats the random numbers of the first one, and leaves the
    running statistics of batch norms alone, which else would be updated twice.

    Args:
        part: a part of a network.
        x: its input.
    """
    if not torch.is_grad_enabled():
        result: Tensor = part(x)
        return result

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _without_statistics(part)

    return checkpoint(part, x, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]


@contextmanager
def _without_statistics(part: nn.Module) -> Iterator[None]:
    """Let the batch norms of a part update copies of their statistics."""
    kept = [(norm, dict(norm.named_buffers(recurse=False))) for norm in part.modules() if isinstance(norm, BATCH_NORMS)]
    for norm, buffers in kept:
        for name, tensor in buffers.items():
            setattr(norm, name, tensor.clone())
    try:
        yield
    finally:
        for norm, buffers in kept:
            for name, tensor in buffers.items():
                setattr(norm, name, tensor)
