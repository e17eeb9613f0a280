"""Check labels and class names, renumber labels of another file, and print names in messages."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from senet.errors import DataError
from senet.text import listed

__all__ = ["MAX_CLASSES", "check_labels", "class_names", "is_text", "printable", "renumbered", "whole_numbers"]

MAX_CLASSES = 100_000
"""Maximum number of classes for labels without names: the network's last layer grows with them."""

_BYTES = range(0xDC80, 0xDD00)  # Python's code points for bytes of a file name that are not UTF-8


def printable(name: str) -> str:
    """Return a name in one line for a message, with characters escaped that cannot be printed."""
    return "".join(c if c.isprintable() else _escaped(c) for c in name)


def _escaped(c: str) -> str:
    return f"\\x{ord(c) - 0xDC00:02x}" if ord(c) in _BYTES else c.encode("unicode_escape").decode()


def is_text(name: str) -> bool:
    """Return whether a name can be written as UTF-8, as results and reports require."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def class_names(names: object, *, place: str) -> tuple[str, ...]:
    """Check the class names of a file.

    Raises:
        DataError: if they are not a list of different strings.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{place}: the class names are not a list of strings; write them as a list, in order of label.")
    if wrong := next((name for name in names if not is_text(name)), None):
        raise DataError(f"{place}: class name '{printable(wrong)}' is not UTF-8; write the names as UTF-8.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{place}: class name '{printable(twice)}' is duplicate; use a different name for every class.")
    return tuple(names)


def whole_numbers(values: object, *, place: str) -> Int64[Tensor, " n"]:
    """Check the labels of a file and return them as a tensor.

    Raises:
        DataError: if they are not integers (but booleans, floats, complex numbers), or too large.
    """
    kinds = {type(value) for value in values} if isinstance(values, list) else set()
    array = np.asarray(values if kinds <= {int} else [None])
    if kinds == {int} and array.dtype.kind not in "iu":
        raise DataError(f"{place}: a label has more than 64 bits; number the classes from 0.")
    if array.size and array.dtype.kind not in "iu":
        named = ", ".join(sorted(kind.__name__ for kind in kinds)) or array.dtype.name
        raise DataError(f"{place}: the labels are of type {named}, not whole numbers; number the classes from 0.")
    if array.size and int(array.max()) > torch.iinfo(torch.int64).max:
        raise DataError(f"{place}: label {array.max()} has more than 63 bits; number the classes from 0.")
    return torch.from_numpy(array.reshape(-1).astype(np.int64))


def renumbered(
    labels: Int64[Tensor, " n"], names: Sequence[str], classes: Sequence[str], *, place: str
) -> Int64[Tensor, " n"]:
    """Convert labels from indices of one list of class names to indices of another.

    Args:
        labels: class of every image, as an index of `names`.
        names: of the file that holds the labels.
        classes: of the training set.
        place: the file, for messages.

    Raises:
        DataError: if a label is out of range, or the training set lacks its name.
    """
    check_labels(labels, len(names), place=place, unlabelled=True)
    if tuple(names) == tuple(classes):
        return labels
    number = {name: i for i, name in enumerate(classes)}
    if absent := [name for name in names if name not in number]:
        some = listed([f"'{printable(name)}'" for name in absent], 1)
        raise DataError(f"{place} has the class {some}, which the training set lacks; both need the same.")
    table = torch.tensor([*(number[name] for name in names), -1])  # the last for -1, no label
    return table[labels]


def check_labels(labels: Int64[Tensor, " n"], classes: int, *, place: str, unlabelled: bool = False) -> None:
    """Raise an error for labels that are out of range.

    Args:
        labels: class of every image.
        classes: number of classes.
        place: file or column, for the message.
        unlabelled: allow -1, which stands for a missing label.

    Raises:
        DataError: if a label is not in `0 .. classes - 1`.
    """
    lowest = -1 if unlabelled else 0
    wrong = ((labels < lowest) | (labels >= classes)).nonzero().flatten()
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"{place}: label {int(labels[first])} of image {first} is out of range; {classes} classes allow 0 to "
            f"{classes - 1}, {len(wrong)} of {len(labels)} labels do not fit. Correct the labels."
        )
