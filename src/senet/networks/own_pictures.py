"""Image splits with the preprocessing of a network of another library and labels that are its outputs.

Letters in shapes: n images, c channels, h rows, w columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Dataset

from senet.data.dataset import Split
from senet.data.file_split import decoded
from senet.data.image_decoding import UnreadableImage, decode, quiet
from senet.experiments.data_spec import Augment
from senet.networks.preprocessing import ForeignPreprocessing

__all__ = ["Pictures", "Pixels"]

Plan = Sequence[tuple[Int64[Tensor, "_"], int]]


@dataclass(frozen=True, eq=False)
class Pixels:
    """Images in memory, normalised for a network; a `Split`.

    Attributes:
        split: images in [0, 1], which keep their size.
        labels: outputs of the network for the true classes, see `senet.networks.own_images`.
        preprocessing: preprocessing of the network.
    """

    split: Split
    labels: Int64[Tensor, " n"]
    preprocessing: ForeignPreprocessing

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns."""
        return self.split.shape

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Pixels":
        """Return a copy with the images on a device."""
        return replace(self, split=self.split.to(device))

    def batches(
        self, plan: Plan, *, augment: Augment | None, device: torch.device | str, workers: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of a plan, see `Split.batches`, without augmentation; `workers` is unused."""
        assert augment is None
        for (indices, _), (x, _) in zip(plan, self.split.batches(plan, augment=None, device=device), strict=True):
            yield self.preprocessing.numbers(x), self.labels[indices].to(device)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Image files, resized, cropped and normalised for a network; a `Split`.

    Attributes:
        items: path or content of every image file.
        names: names of the images in messages.
        labels: outputs of the network for the true classes, see `senet.networks.own_images`.
        preprocessing: preprocessing of the network.
    """

    items: tuple[Path | bytes, ...]
    names: tuple[str, ...]
    labels: Int64[Tensor, " n"]
    preprocessing: ForeignPreprocessing

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the network's input."""
        return 3, *self.preprocessing.size

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Pictures":
        """Return itself: images are decoded on the CPU."""
        return self

    def batches(
        self, plan: Plan, *, augment: Augment | None, device: torch.device | str, workers: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of a plan, see `Split.batches`, without augmentation.

        Raises:
            DataError: if an image cannot be decoded; the message names the file.
        """
        assert augment is None
        pictures = _Decoded(self.items, self.names, self.preprocessing)
        loaded = decoded(pictures, [indices.tolist() for indices, _ in plan], workers=workers)
        for (indices, _), x in zip(plan, loaded, strict=True):
            yield x.to(device), self.labels[indices].to(device)


class _Decoded(Dataset[tuple[Tensor, str]]):
    """The data set of a worker: maps an index to the network's input and an error message (empty if decoded)."""

    def __init__(
        self, items: Sequence[Path | bytes], names: Sequence[str], preprocessing: ForeignPreprocessing
    ) -> None:
        self.items, self.names, self.preprocessing = items, names, preprocessing

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        try:
            with quiet():
                return self.preprocessing(decode(self.items[index])), ""
        except UnreadableImage as error:
            return torch.empty(0), f"{self.names[index]} ({error})"
