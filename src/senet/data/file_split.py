"""A split of image files, which are decoded when a batch needs them, optionally by worker processes.

`n` images, `b` of a batch, `h` rows, `w` columns. A worker decodes, crops and resizes one image; the steps on whole
batches are `finish`, as for splits in memory. A batch has the same bits with any number of workers.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from senet.data.augment import draw_box, generator
from senet.data.image_decoding import UnreadableImage, decode, quiet, to_tensor
from senet.data.labels import printable
from senet.data.normalize import Normalize
from senet.data.resize_crop import DEFAULT_SIDE, Frame
from senet.data.tensor_split import finish
from senet.errors import DataError
from senet.experiments.data_spec import Augment
from senet.signals import held, obey_parent

__all__ = ["Files"]


@dataclass(frozen=True, eq=False)
class Files:
    """Images as files, or as the bytes of files.

    Attributes:
        items: path or content of every image.
        names: names for messages.
        labels: class of every image, on the CPU.
        digests: digests of their contents; empty before the files have been checked.
        frame: resizing and cropping.
        normalize: conversion of bytes to floats, the last step before Cutout.
    """

    items: tuple[Path | bytes, ...]
    names: tuple[str, ...]
    labels: Int64[Tensor, " n"]
    digests: tuple[str, ...] = ()
    frame: Frame = Frame(DEFAULT_SIDE, DEFAULT_SIDE, 256)  # noqa: RUF009 -- a frozen value
    normalize: Normalize = Normalize()  # noqa: RUF009 -- a frozen value

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the network's input."""
        return 3, self.frame.height, self.frame.width

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Int64[Tensor, " m"]) -> "Files":
        chosen = index.tolist()
        return replace(
            self,
            items=tuple(self.items[i] for i in chosen),
            names=tuple(self.names[i] for i in chosen),
            labels=self.labels[index],
            digests=tuple(self.digests[i] for i in chosen) if self.digests else (),
        )

    def __add__(self, other: "Files") -> "Files":
        """Return the images of both splits, with the frame and normalization of this one."""
        return replace(
            self,
            items=self.items + other.items,
            names=self.names + other.names,
            labels=torch.cat([self.labels, other.labels]),
            digests=self.digests + other.digests,
        )

    def to(self, device: torch.device | str) -> "Files":
        """Return the split itself: batches are moved one by one."""
        return self

    def batches(
        self,
        plan: Sequence[tuple[Int64[Tensor, "_"], int]],
        *,
        augment: Augment | None,
        device: torch.device | str,
        workers: int = 0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield `(x, y)` for every step of a plan.

        A batch depends on its indices, its seed and `augment` only; a resumed training passes the rest of the plan.

        Args:
            plan: indices and seed of each step.
            augment: random changes; None for none.
            device: device of the batches.
            workers: number of processes that decode images.

        Yields:
            Normalized images `(b, c, h, w)` in float32 and their labels `(b,)` in int64.

        Raises:
            DataError: if an image cannot be decoded; it names the file.
        """
        device = torch.device(device)
        pictures = _Pictures(self, smallest=augment.resized_crop if augment else 0.0)
        keys = [[(index, seed) for index in indices.tolist()] for indices, seed in plan]
        loaded = _decoded(pictures, keys, workers=workers, pinned=device.type == "cuda")
        for (indices, seed), x in zip(plan, loaded, strict=True):
            x = x.to(device, non_blocking=True)
            y = self.labels.index_select(0, indices.cpu()).to(device)
            yield finish(x, self.normalize, augment=augment, seed=seed), y


def _decoded(pictures: "_Pictures", keys: Sequence[Sequence[Any]], *, workers: int, pinned: bool) -> Iterator[Tensor]:
    """Yield the images of every list of keys as one tensor, decoded by worker processes.

    Args:
        pictures: maps a key to an image, or to the reason why it cannot be decoded.
        keys: keys of the images of each batch.
        workers: number of processes; 0 decodes in this one.
        pinned: use memory from which copies to a GPU are fast.

    Raises:
        DataError: if an image cannot be decoded.
    """
    # otherwise the loader draws from torch's global generator, and a resumed run would differ
    own = {"generator": torch.Generator(), "worker_init_fn": obey_parent, "collate_fn": _stack}
    loader = DataLoader(pictures, batch_sampler=keys, num_workers=workers, pin_memory=pinned, **own)  # type: ignore[arg-type]
    with held() if workers else nullcontext():
        loaded = iter(loader)  # starts the workers
    for x, problem in loaded:
        if problem:
            raise DataError(f"unreadable image: {problem}. Repair or delete it, or skip it (on_bad_image=skip).")
        yield x


class _Pictures(Dataset[tuple[Tensor, str]]):
    """Map (index, seed) to the pixels of an image, or to the reason why it cannot be decoded."""

    def __init__(self, files: Files, *, smallest: float) -> None:
        self.files, self.smallest = files, smallest

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, str]:
        index, seed = key
        frame = self.files.frame
        try:
            with quiet():
                picture = decode(self.files.items[index])
            if not self.smallest:
                return to_tensor(frame.centre(picture)), ""
            random = generator(seed, index + 1)
            box = draw_box(picture.height, picture.width, smallest=self.smallest, random=random)
            return to_tensor(frame.part(picture, box)), ""
        except UnreadableImage as error:
            # the message of an exception from a worker would hold its traceback
            return torch.empty(0, dtype=torch.uint8), f"{printable(self.files.names[index])} ({error})"


def _stack(samples: list[tuple[Tensor, str]]) -> tuple[Tensor, str]:
    problem = next((text for _, text in samples if text), "")
    return (torch.empty(0, dtype=torch.uint8) if problem else torch.stack([x for x, _ in samples])), problem
