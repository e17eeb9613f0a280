"""Choose a random subset of images by class."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from senet.data.augment import generator

__all__ = ["balanced", "proportional", "rest"]


def rest(chosen: Int64[Tensor, " m"], total: int) -> Int64[Tensor, " k"]:
    """Return the indices below `total` that were not chosen, in ascending order."""
    return torch.ones(total, dtype=torch.bool).index_fill(0, chosen, value=False).nonzero().flatten()


def balanced(labels: Int64[Tensor, " n"], size: int, *, seed: int) -> Int64[Tensor, " m"]:
    """Choose images so that the class sizes are as equal as possible; a smaller choice is part of a larger one.

    Returns:
        Indices in ascending order.
    """
    rank, _, order = _ranks(labels, seed=seed)
    return _smallest(rank, order, size)


def proportional(labels: Int64[Tensor, " n"], size: int, *, seed: int) -> Int64[Tensor, " m"]:
    """Choose images so that every class keeps its share (stratified); the arguments are those of `balanced`."""
    rank, count, order = _ranks(labels, seed=seed)
    return _smallest((rank + 0.5) / count, order, size)


def _ranks(
    labels: Int64[Tensor, " n"], *, seed: int
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Int64[Tensor, " n"]]:
    """Shuffle, then number the images within each class.

    Returns:
        Rank of each image in its class, size of its class, and the shuffled indices, which break ties.
    """
    order = torch.randperm(len(labels), generator=generator(seed))
    rank = torch.empty(len(labels), dtype=torch.float64)
    count = torch.empty(len(labels), dtype=torch.float64)
    for label in torch.unique(labels):
        members = order[labels[order] == label]
        rank[members] = torch.arange(len(members), dtype=torch.float64)
        count[members] = len(members)
    return rank, count, order


def _smallest(key: Float[Tensor, " n"], order: Int64[Tensor, " n"], size: int) -> Int64[Tensor, " m"]:
    chosen = order[torch.sort(key[order], stable=True).indices[:size]]
    return torch.sort(chosen).values
