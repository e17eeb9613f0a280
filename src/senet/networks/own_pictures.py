"""Pictures as a network of another library sees them, with labels that are its outputs.

`n` images, `c` channels, `h` rows, `w` columns.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from senet.data.augment import generator
from senet.data.dataset import Split
from senet.data.image_decoding import UnreadableImage, decode, quiet
from senet.errors import DataError
from senet.experiments.data_spec import Augment
from senet.networks.preprocessing import ForeignPreprocessing
from senet.signals import held, obey_parent

__all__ = ["Pictures", "Pixels"]

Plan = Sequence[tuple[Int64[Tensor, "_"], int]]


@dataclass(frozen=True, eq=False)
class Pixels:
    """Images in memory, normalised as a network wants them; a `Split`.

    Attributes:
        split: images in [0, 1], which keep their size.
        labels: what the network should answer, see `senet.networks.own_images`.
        preprocessing: of the network.
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
        """Move the images."""
        return replace(self, split=self.split.to(device))

    def batches(
        self, plan: Plan, *, augment: Augment | None, device: torch.device | str, workers: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of a plan, see `Split.batches`, without augmentation; `workers` has nothing to do."""
        assert augment is None
        for (indices, _), (x, _) in zip(plan, self.split.batches(plan, augment=None, device=device), strict=True):
            yield self.preprocessing.numbers(x), self.labels[indices].to(device)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Picture files, cut and normalised as a network wants them; a `Split`.

    Attributes:
        items: path or content of every picture.
        names: how messages call them.
        labels: what the network should answer, see `senet.networks.own_images`.
        preprocessing: of the network.
    """

    items: tuple[Path | bytes, ...]
    names: tuple[str, ...]
    labels: Int64[Tensor, " n"]
    preprocessing: ForeignPreprocessing

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns as the network gets them."""
        return 3, *self.preprocessing.size

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Pictures":
        """Return itself: files stay where they are."""
        return self

    def batches(
        self, plan: Plan, *, augment: Augment | None, device: torch.device | str, workers: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of a plan, see `Split.batches`, without augmentation.

        Raises:
            DataError: if a picture cannot be decoded; it names the file.
        """
        assert augment is None
        loader = DataLoader(
            _Decoded(self.items, self.names, self.preprocessing),
            batch_sampler=[indices.tolist() for indices, _ in plan],
            num_workers=workers,
            collate_fn=_stack,
            generator=generator(0),
            worker_init_fn=obey_parent,
        )
        with held() if workers else nullcontext():
            loaded = iter(loader)  # starts the workers
        for (indices, _), (x, problem) in zip(plan, loaded, strict=True):
            if problem:
                raise DataError(f"unreadable image: {problem}. Mend or delete it, or skip it (--on-bad-image skip).")
            yield x.to(device), self.labels[indices].to(device)


class _Decoded(Dataset[tuple[Tensor, str]]):
    """What a worker gets: an index in, the input of the network or the reason why there is none out."""

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


def _stack(samples: list[tuple[Tensor, str]]) -> tuple[Tensor, str]:
    problem = next((text for _, text in samples if text), "")
    return (torch.empty(0) if problem else torch.stack([x for x, _ in samples])), problem
