"""The processes that train one network together, as `torchrun` starts them; a single process has no overhead."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from senet.errors import SenetError

__all__ = ["Group", "joined"]

T = TypeVar("T")

PATIENCE = timedelta(minutes=10)  # for a process that is alive; one that has ended is detected at once


@dataclass(frozen=True, kw_only=True)
class Group:
    """One of the processes that share a training.

    Attributes:
        rank: index of this process, from 0; rank 0 writes files and messages.
        size: number of processes.
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

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all processes."""
        if self.size > 1 and tensors:
            mean = self.total(torch.cat([x.flatten() for x in tensors])) / self.size
            for x, part in zip(tensors, torch.split(mean, [x.numel() for x in tensors]), strict=True):
                x.copy_(part.view_as(x))

    def largest(self, *numbers: int) -> tuple[int, ...]:
        """Return the maximum of each number over all processes, so that all take the same decision."""
        if self.size == 1:
            return numbers
        x = torch.tensor(numbers)  # on the CPU: no wait for a GPU
        dist.all_reduce(x, op=dist.ReduceOp.MAX)
        return tuple(x.tolist())

    def share(self, make: Callable[[], T]) -> T:
        """Call a function in rank 0 and return its value, or raise its `SenetError`, in all processes."""
        if self.size == 1:
            return make()
        box: list[Any] = [None, None]
        if self.leads:
            try:
                box[0] = make()
            except SenetError as error:
                box[1] = error
        dist.broadcast_object_list(box)
        made, refusal = box
        if refusal is not None:
            raise refusal
        return cast(T, made)


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """Join the group that `torchrun` describes in the environment; leave it at the end.

    Args:
        device: of the training; a GPU uses nccl, tensors of the CPU always gloo.

    Raises:
        SenetError: if another process of the group has ended.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Group()
        return
    store, rank, size = _meeting_point()
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Group(rank=rank, size=size)
    except RuntimeError as error:
        if not _is_loss(error):
            raise
        raise SenetError(
            f"process {rank} of {size} lost the others: one of them has ended; see its message. "
            "Run the same command again to continue from the last checkpoint."
        ) from error
    finally:
        dist.destroy_process_group()


def _meeting_point() -> tuple[dist.Store, int, int]:
    """Return the store in which the processes find each other, the rank of this one, and their number.

    torchrun with `--master-port` keeps one store for all its restarts, in which a process would read the addresses of
    dead ones and wait for them, so every start gets its own prefix.
    """
    store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
    store.set_timeout(PATIENCE)
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    named: dist.Store = dist.PrefixStore(f"start {start}", store)  # type: ignore[attr-defined]  # not in its __all__
    return named, rank, size


def _is_loss(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()
