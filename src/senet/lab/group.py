"""The processes that train one network together, as `torchrun` starts them; alone, nothing costs anything."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["Group", "joined"]


@dataclass(frozen=True, kw_only=True)
class Group:
    """A process among those that share a training.

    Attributes:
        rank: this process, from 0; rank 0 writes files and talks.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def total(self, x: Tensor) -> Tensor:
        """Add a tensor over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(x)
        return x

    def agree(self, flag: bool, device: torch.device) -> bool:
        """Say whether any process raised its flag."""
        return bool(self.total(torch.tensor(int(flag), device=device)).item()) if self.size > 1 else flag

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """Join the group that `torchrun` announces in the environment; leave it at the end.

    Args:
        device: decides the backend, nccl for cuda and gloo otherwise.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Group()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(rank=dist.get_rank(), size=dist.get_world_size())
    finally:
        dist.destroy_process_group()
