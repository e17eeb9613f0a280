"""Keep the images with the largest and smallest gates of every channel. Letters in shapes: c channels, k places."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

__all__ = ["Extremes", "Few", "used"]


@dataclass(eq=False)
class Few:
    """The images with the largest values of every channel, the first one first.

    Attributes:
        places: number of images for each channel.
        value: their values `(c, k)`; minus infinity where there are fewer images.
        image: numbers of the images, from 0 `(c, k)`; -1 where there are fewer.
    """

    places: int
    value: Float64[Tensor, "c k"]
    image: Int64[Tensor, "c k"]

    @classmethod
    def of(cls, channels: int, places: int) -> "Few":
        """Return an empty list for each channel."""
        return cls(
            places,
            torch.full((channels, places), -torch.inf, dtype=torch.float64),
            torch.full((channels, places), -1),
        )

    def add(self, values: Float64[Tensor, "n c"], start: int) -> None:
        """Add images; `start` is the number of the first one."""
        known = values.T.nan_to_num(nan=-torch.inf)
        numbers = torch.arange(start, start + len(values)).expand(known.shape[0], -1)
        both, images = torch.cat([self.value, known], 1), torch.cat([self.image, numbers], 1)
        order = both.sort(stable=True, dim=1, descending=True).indices[:, : self.places]
        self.value, self.image = both.gather(1, order), images.gather(1, order)
        self.image[self.value.isneginf()] = -1


class Extremes:
    """The images that open and shut the gate of every channel most."""

    def __init__(self, channels: int, places: int) -> None:
        self.open, self._shut = Few.of(channels, places), Few.of(channels, places)

    def add(self, gate: Float64[Tensor, "n c"], start: int) -> None:
        """Add the gates of some images; `start` is the number of the first one."""
        self.open.add(gate, start)
        self._shut.add(-gate, start)

    @property
    def shut(self) -> Few:
        """The images with the smallest gates."""
        return Few(self._shut.places, -self._shut.value, self._shut.image)


def used(extremes: Iterable[Extremes]) -> dict[int, int]:
    """Return how often each image is used, most often first."""
    found = [few.image[few.image >= 0] for one in extremes for few in (one.open, one.shut)]
    images, counts = torch.unique(torch.cat(found), return_counts=True) if found else (torch.zeros(0), torch.zeros(0))
    order = counts.sort(stable=True, descending=True).indices
    return dict(zip(images[order].long().tolist(), counts[order].long().tolist(), strict=True))
