"""Removal of the prefix that training loops add to all tensor names, such as Lightning's `model.` or `net.`."""

from collections.abc import Collection, Mapping

from torch import Tensor

__all__ = ["without_prefix"]


def without_prefix(tensors: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Remove the first component of all names if the result matches the names of the network.

    Returns:
        The tensors by their short names, or unchanged if those do not match.

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
