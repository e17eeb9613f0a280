"""A split that lies in memory as one tensor of bytes: batches cost a copy of rows, and move to a GPU once.

`n` images, `b` of a batch, `c` channels, `h` rows, `w` columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from senet.data.augment import cutout, draw_cutout, generator, move, stretch
from senet.data.normalize import Normalize
from senet.data.spec import Augment

__all__ = ["Tensors", "finish"]


@dataclass(frozen=True, eq=False)
class Tensors:
    """Images and labels in memory.

    Attributes:
        images: pixels, on any device.
        labels: class of every image, on the CPU.
        normalize: bytes to numbers, the last step but Cutout.
        size: side to which the images are stretched in every batch [pixels]; 0 keeps theirs.
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    normalize: Normalize = Normalize()  # noqa: RUF009 -- a frozen value
    size: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns."""
        c, h, w = self.images.shape[1:]
        return c, self.size or h, self.size or w

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Tensors":
        """Move the images; the labels stay, they are read by plans and metrics."""
        return replace(self, images=self.images.to(device))

    def batches(
        self,
        plan: Sequence[tuple[Int64[Tensor, "_"], int]],
        *,
        augment: Augment | None,
        device: torch.device | str,
        workers: int = 0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of a plan, see `Split.batches`; `workers` has nothing to do here."""
        for indices, seed in plan:
            x = self.images.index_select(0, indices.to(self.images.device))
            x = finish(x, self.normalize, augment=augment, seed=seed, size=self.size)
            yield x.to(device), self.labels.index_select(0, indices.cpu()).to(device)


def finish(
    x: UInt8[Tensor, "b c h w"], normalize: Normalize, *, augment: Augment | None, seed: int, size: int = 0
) -> Float[Tensor, "b c r s"]:
    """Make of the bytes of a batch what the network sees: changes of place, normalisation, Cutout.

    Args:
        x: pixels.
        normalize: bytes to numbers.
        augment: random changes; `None` stands for none.
        seed: of this batch.
        size: side to which images are stretched [pixels]; 0 keeps theirs.
    """
    if augment is None:
        return normalize(stretch(x, size))
    random = generator(seed)
    x = normalize(move(x, augment, random, size=size))
    if augment.cutout:
        n, _, h, w = x.shape
        x = cutout(x, draw_cutout(n, h, w, random=random).to(x.device), side=augment.cutout)
    return x
