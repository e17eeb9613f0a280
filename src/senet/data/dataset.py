"""What a set offers: two splits, class names, statistics, and a fingerprint of what was seen."""

from dataclasses import dataclass
from typing import TypeAlias

from senet.data.files import Files
from senet.data.spec import DataSpec
from senet.data.tensors import Tensors

__all__ = ["Data", "Split"]

Split: TypeAlias = Tensors | Files
"""Labelled images that come as batches by a plan, with no state of their own; see `Files.batches`."""


@dataclass(frozen=True, eq=False)
class Data:
    """A set: as a reader finds it on disk, and with its frame, statistics and subsets as `load` returns it.

    Attributes:
        spec: what was asked for.
        classes: names of the classes; a label is an index here.
        train: training images.
        test: test images.
        mean: of `x / 255` per channel, over the training images before `train_size` chooses (of a folder, over at most
            1,024 of them); or what the spec says.
        std: likewise, the population's deviation.
        fingerprint: first 16 hex digits of a SHA-256 over images and labels in memory, or over names, contents and
            labels of files. Equal fingerprints: two runs saw the same images in the same order, before normalisation.
        notes: what a reader of the results should know, one sentence each.
    """

    spec: DataSpec
    classes: tuple[str, ...]
    train: Split
    test: Split
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fingerprint: str = ""
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one image."""
        return self.train.shape
