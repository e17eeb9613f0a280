"""A split in memory, as one tensor of bytes or floats: a batch is a copy of rows, and a GPU receives the images once.

`n` images, `b` of a batch, `c` channels, `h` rows, `w` columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from senet.data.augment import cutout, draw_box, draw_cutout, generator, move
from senet.data.normalize import Normalize
from senet.data.resize_crop import Frame
from senet.errors import SpecError
from senet.experiments.data_spec import Augment

__all__ = ["Tensors", "finish"]


@dataclass(frozen=True, eq=False)
class Tensors:
    """Images and labels in memory.

    Attributes:
        images: pixels, on any device; bytes, or floats that are used as they are.
        labels: class of every image, on the CPU.
        frame: resizing and cropping; None leaves the images as they are.
        normalize: conversion of bytes to floats, the last step before Cutout.
        names: names for messages; empty where the images have only an index.
        digests: digests of their files; empty where the images have only an index.
    """

    images: Num[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    frame: Frame | None = None
    normalize: Normalize = Normalize()  # noqa: RUF009 -- a frozen value
    names: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the network's input."""
        c, h, w = self.images.shape[1:]
        return (c, self.frame.height, self.frame.width) if self.frame else (c, h, w)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Int64[Tensor, " m"]) -> "Tensors":
        names, digests = (tuple(of[i] for i in index.tolist()) if of else () for of in (self.names, self.digests))
        return replace(self, images=self.images[index], labels=self.labels[index], names=names, digests=digests)

    def to(self, device: torch.device | str) -> "Tensors":
        """Move the images; the labels stay on the CPU, where plans and metrics read them."""
        return replace(self, images=self.images.to(device))

    def batches(
        self,
        plan: Sequence[tuple[Int64[Tensor, "_"], int]],
        *,
        augment: Augment | None,
        device: torch.device | str,
        workers: int = 0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of a plan, see `Files.batches`; `workers` is ignored."""
        h, w = self.images.shape[2:]
        frame = self.frame or Frame(h, w)
        if augment is not None and augment.resized_crop and self.images.is_floating_point():
            raise SpecError(
                "augment.resized_crop resizes bytes, and the images are floats; set it to 0, or pass bytes."
            )
        for indices, seed in plan:
            x = self.images.index_select(0, indices.to(self.images.device))
            if augment is not None and augment.resized_crop:
                draws = (generator(seed, index + 1) for index in indices.tolist())
                boxes = [draw_box(h, w, smallest=augment.resized_crop, random=random) for random in draws]
                x = frame.parts(x, torch.tensor(boxes, dtype=torch.float32))
            else:
                x = frame.centres(x)
            x = finish(x, self.normalize, augment=augment, seed=seed)
            yield x.to(device), self.labels.index_select(0, indices.cpu()).to(device)


def finish(
    x: Num[Tensor, "b c h w"], normalize: Normalize, *, augment: Augment | None, seed: int
) -> Float[Tensor, "b c h w"]:
    """Apply the last steps to the resized and cropped images of a batch: geometric changes, normalization, Cutout."""
    if augment is None:
        return normalize(x)
    random = generator(seed)
    x = normalize(move(x, augment, random))
    if augment.cutout:
        n, _, h, w = x.shape
        x = cutout(x, draw_cutout(n, h, w, random=random).to(x.device), side=augment.cutout)
    return x
