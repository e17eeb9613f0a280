"""Names that a training loop put before all names of a network: Lightning's module calls it `model` or `net`."""

from collections.abc import Collection, Mapping

from torch import Tensor

__all__ = ["without_prefix"]


def without_prefix(tensors: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Take the first part off all names where that gives the names of the network, and only then.

    Args:
        tensors: weights by the names of a file.
        wanted: names of the network.

    Example:
        >>> list(without_prefix({"model.fc.weight": Tensor(1)}, ["fc.weight"]))
        ['fc.weight']
        >>> list(without_prefix({"model.fc.weight": Tensor(1)}, ["model.fc.weight"]))
        ['model.fc.weight']
    """
    first = {name.partition(".")[0] for name in tensors}
    if len(first) == 1 and not tensors.keys() <= set(wanted):
        short = {name.partition(".")[2]: value for name, value in tensors.items()}
        if short.keys() == set(wanted):
            return short
    return dict(tensors)
