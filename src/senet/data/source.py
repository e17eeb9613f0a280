"""What every reader returns, before normalisation and subsets: parts with labels, class names, notes.

`n` images, `c` channels, `h` rows, `w` columns.
"""

from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Int64, UInt8
from torch import Tensor

from senet.errors import DataError

__all__ = ["Encoded", "Pixels", "Source", "check_labels"]


@dataclass(frozen=True, eq=False)
class Pixels:
    """Decoded images and their labels.

    Attributes:
        images: pixels.
        labels: class of every image.
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]

    def __getitem__(self, index: Int64[Tensor, " m"]) -> "Pixels":
        return Pixels(self.images[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class Encoded:
    """Images that are still files, or the bytes of files.

    Attributes:
        items: path or content of every image.
        names: how to call each image in a message and in the fingerprint.
        labels: class of every image.
    """

    items: tuple[Path | bytes, ...]
    names: tuple[str, ...]
    labels: Int64[Tensor, " n"]

    def __getitem__(self, index: Int64[Tensor, " m"]) -> "Encoded":
        chosen = index.tolist()
        return Encoded(tuple(self.items[i] for i in chosen), tuple(self.names[i] for i in chosen), self.labels[index])


@dataclass(frozen=True, eq=False)
class Source:
    """A set as read from disk.

    Attributes:
        classes: names; a label is an index here.
        train: training images.
        test: test images, of the same kind.
        notes: what a reader of results should know.
    """

    classes: tuple[str, ...]
    train: Pixels | Encoded
    test: Pixels | Encoded
    notes: tuple[str, ...] = field(default=())


def check_labels(labels: Int64[Tensor, " n"], classes: int, *, place: str) -> None:
    """Refuse labels that name no class.

    Args:
        labels: class of every image.
        classes: number of classes.
        place: file or column, for the message.

    Raises:
        DataError: if a label is not in `0 .. classes - 1`.
    """
    wrong = ((labels < 0) | (labels >= classes)).nonzero().flatten()
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"{place}: label {int(labels[first])} of image {first} is out of range; {classes} classes allow 0 to "
            f"{classes - 1}, {len(wrong)} of {len(labels)} labels do not fit. Mend the labels."
        )
