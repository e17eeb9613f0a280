"""What a set offers: two splits, class names, statistics, and a fingerprint of what was seen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from senet.data.in_memory import Tensors
from senet.data.on_disk import Files
from senet.experiments.data_spec import Augment, DataSpec

__all__ = ["Data", "Loaded", "Split"]

Loaded: TypeAlias = Tensors | Files
"""A split as `load` returns it."""


@runtime_checkable
class Split(Protocol):
    """Labelled images that come as batches by a plan, with no state of their own: all that training and tests ask for.

    `Tensors` and `Files` are splits; one of your own goes into a `Data`, too.
    """

    @property
    def labels(self) -> Tensor:
        """Class of every image, on the CPU."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns as the network gets them."""
        ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device | str) -> "Split":
        """Move what can be moved, and return it."""
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
    def loaded(self) -> tuple[Loaded, Loaded]:
        """Training and test images as `load` made them."""
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
