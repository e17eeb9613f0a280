"""A data set: two splits, class names, statistics, and a fingerprint of the images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from senet.data.file_split import Files
from senet.data.tensor_split import Tensors
from senet.experiments.data_spec import Augment, DataSpec

__all__ = ["Data", "Loaded", "Split"]

Loaded: TypeAlias = Tensors | Files
"""A split as `load` returns it."""


@runtime_checkable
class Split(Protocol):
    """The interface of labelled images by which training and tests read batches; a split has no mutable state.

    `Tensors` and `Files` are splits; a `Data` accepts your own, too.
    """

    @property
    def labels(self) -> Tensor:
        """Class of every image, on the CPU."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the network's input."""
        ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device | str) -> "Split":
        """Return the split with its tensors on a device."""
        ...

    def batches(
        self,
        plan: Sequence[tuple[Tensor, int]],
        *,
        augment: Augment | None,
        device: torch.device | str,
        workers: int = 0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels for every step of a plan, see `Files.batches`."""
        ...


@dataclass(frozen=True, eq=False)
class Data:
    """A data set: readers return one with classes and splits, `load` adds frame, statistics and subsets.

    Attributes:
        spec: the requested data set.
        classes: names of the classes; labels are indices of this tuple.
        train: training images.
        test: test images.
        mean: mean of `x / 255` per channel, over the training images before `train_size` selects (of a folder, over at
            most 1,024 of them); or that of the spec.
        std: population standard deviation of the same values.
        fingerprint: first 16 hex digits of a SHA-256 over images and labels in memory, or over names, contents and
            labels of files. It is equal if two runs use the same images in the same order, before normalization.
        notes: remarks for readers of the results, one sentence each.
        unsplit: name of the folder, if it has no split and the test images were chosen from all; empty otherwise.
    """

    spec: DataSpec
    classes: tuple[str, ...]
    train: Split
    test: Split
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fingerprint: str = ""
    notes: tuple[str, ...] = ()
    unsplit: str = ""

    @property
    def loaded(self) -> tuple[Loaded, Loaded]:
        """Training and test images, of the types that `load` returns."""
        assert isinstance(self.train, Tensors | Files)
        assert isinstance(self.test, Tensors | Files)
        return self.train, self.test

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one image."""
        return self.train.shape
