"""What a loaded set offers: two splits, class names, statistics, and a fingerprint of what was seen.

`n` images, `c` channels, `h` rows, `w` columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from senet.data.spec import Augment, DataSpec

__all__ = ["Data", "Split"]


@runtime_checkable
class Split(Protocol):
    """Labelled images that come as batches by a plan, with no state of their own.

    A batch depends on its indices, its seed and `augment` only. Whoever resumes slices the plan.
    """

    @property
    def labels(self) -> Int64[Tensor, " n"]:
        """Class of every image, on the CPU."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of an image as the network gets it."""
        ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device | str) -> "Split":
        """Move what lies in memory to the device, once; splits of files return themselves."""
        ...

    def batches(
        self,
        plan: Sequence[tuple[Int64[Tensor, "_"], int]],
        *,
        augment: Augment | None,
        device: torch.device | str,
        workers: int = 0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield `(x, y)` for every step of the plan.

        Args:
            plan: indices and seed of each step.
            augment: random changes; `None` stands for none at all.
            device: where the batch is wanted.
            workers: processes that read files; sets in memory need none and ignore it.

        Yields:
            Normalised images `(b, c, h, w)` in float32 and their labels `(b,)` in int64.
        """
        ...


@dataclass(frozen=True)
class Data:
    """A set as loaded from disk.

    Attributes:
        spec: what was asked for.
        classes: names of the classes; a label is an index here.
        train: training images.
        test: test images.
        mean: of `x / 255` per channel, over the whole training set, whatever `train_size` and `normalize` are.
        std: likewise, the population's deviation.
        fingerprint: first 16 hex digits of a SHA-256 over images and labels in memory, or over names, sizes and labels
            of files. Equal fingerprints: two runs saw the same images in the same order, before normalisation.
        notes: what a reader of the results should know, one sentence each.
    """

    spec: DataSpec
    classes: tuple[str, ...]
    train: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one image."""
        return self.train.shape
