"""A split that stays on disk: pictures are decoded when a batch needs them, by worker processes if asked.

`n` images, `b` of a batch, `h` rows, `w` columns. A worker decodes, crops and resizes; what is done to whole batches
(`finish`) is the code of the splits in memory. So a batch has the same bits with any number of workers.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Int64
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from senet.data.augment import draw_boxes, generator
from senet.data.normalize import Normalize
from senet.data.pictures import UnreadableImage, decode, quiet, to_tensor
from senet.data.spec import Augment
from senet.data.tensors import finish
from senet.errors import DataError
from senet.signals import end_with_parent, held

__all__ = ["Files", "centre", "random_part"]


@dataclass(frozen=True, eq=False)
class Files:
    """Pictures as files, or as the bytes of files.

    Attributes:
        items: path or content of every picture.
        names: how messages call them.
        labels: class of every picture, on the CPU.
        size: side of the square the network gets [pixels].
        normalize: bytes to numbers, the last step but Cutout.
    """

    items: tuple[Path | bytes, ...]
    names: tuple[str, ...]
    labels: Int64[Tensor, " n"]
    size: int
    normalize: Normalize = Normalize()  # noqa: RUF009 -- a frozen value

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns as the network gets them."""
        return 3, self.size, self.size

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Files":
        """Return itself: files stay where they are."""
        return self

    def batches(
        self,
        plan: Sequence[tuple[Int64[Tensor, "_"], int]],
        *,
        augment: Augment | None,
        device: torch.device | str,
        workers: int = 0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of a plan, see `Split.batches`.

        Raises:
            DataError: if a picture cannot be decoded; it names the file.
        """
        device = torch.device(device)
        smallest = augment.resized_crop if augment else 0.0
        rest = replace(augment, resized_crop=0.0) if augment else None
        loader = DataLoader(
            _Pictures(self.items, self.names, size=self.size, smallest=smallest),
            batch_sampler=[[(index, seed) for index in indices.tolist()] for indices, seed in plan],
            num_workers=workers,
            collate_fn=_stack,
            pin_memory=device.type == "cuda",
            # without one of its own the loader draws from torch's global generator, and a resumed run would differ
            generator=torch.Generator(),
            worker_init_fn=end_with_parent,
        )
        with held() if workers else nullcontext():
            loaded = iter(loader)  # starts the workers
        for (indices, seed), (x, problem) in zip(plan, loaded, strict=True):
            if problem:
                raise DataError(f"unreadable image: {problem}. Mend or delete it, or skip it (--on-bad-image skip).")
            x = x.to(device, non_blocking=True)
            y = self.labels.index_select(0, indices.cpu()).to(device)
            yield finish(x, self.normalize, augment=rest, seed=seed), y


def centre(picture: Image.Image, size: int) -> Image.Image:
    """Cut the middle out of a picture: short side to `size * 256 / 224`, then a centre crop.

    Args:
        picture: any size.
        size: side of the result [pixels].

    Source:
        Hu et al., arXiv:1709.01507, section 6.1: 256 and 224.
    """
    short = round(size * 256 / 224)
    width, height = (int(short * side / min(picture.size)) for side in picture.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    whole = picture.resize((width, height), Image.Resampling.BILINEAR)
    return whole.crop((left, top, left + size, top + size))


def random_part(picture: Image.Image, size: int, *, smallest: float, random: torch.Generator) -> Image.Image:
    """Cut a random box out of a picture and resize it, see `senet.data.augment.draw_boxes`.

    Args:
        picture: any size.
        size: side of the result [pixels].
        smallest: smallest share of the area [1].
        random: generator on the CPU.
    """
    box = draw_boxes(1, picture.height, picture.width, smallest=smallest, random=random)[0].tolist()
    top, left, height, width = box
    return picture.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))


class _Pictures(Dataset[tuple[Tensor, str]]):
    """What a worker gets: (index, seed) in, pixels or the reason why there are none out."""

    def __init__(self, items: tuple[Path | bytes, ...], names: tuple[str, ...], *, size: int, smallest: float) -> None:
        self.items, self.names, self.size, self.smallest = items, names, size, smallest

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, str]:
        index, seed = key
        fit = partial(centre, size=self.size)
        if self.smallest:
            fit = partial(random_part, size=self.size, smallest=self.smallest, random=generator(seed, index + 1))
        try:
            with quiet():
                return to_tensor(fit(decode(self.items[index]))), ""
        except UnreadableImage as error:
            # an exception would come out of a worker with its traceback as the message
            return torch.empty(0, dtype=torch.uint8), f"{self.names[index]} ({error})"


def _stack(samples: list[tuple[Tensor, str]]) -> tuple[Tensor, str]:
    problem = next((text for _, text in samples if text), "")
    return (torch.empty(0, dtype=torch.uint8) if problem else torch.stack([x for x, _ in samples])), problem
