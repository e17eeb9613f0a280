"""Keep the gates of images, all of them where they fit into the memory, else a random sample.

Sums over all images suffice for means by class. Quantiles, permutations of labels, intervals, regressions and the gates
of another image need the values of single images. A sample of images, every image with the same probability, serves
all of them, and is every image while images times channels fit into `MEMORY`.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Int64
from torch import Tensor

__all__ = ["MEMORY", "Sample"]

MEMORY = 2**30  # bytes


class Sample:
    """Rows of values for a random sample of images (algorithm R), equal for equal seeds.

    Args:
        memory: bytes of its values.
        seed: of the choice.

    Attributes:
        seen: number of images so far.
        index: number of the image in every row, from 0.
    """

    def __init__(self, memory: int = MEMORY, *, seed: int = 0) -> None:
        self.memory = memory
        self.capacity = 0
        self.seen = 0
        self.index: Int64[Tensor, " m"] = torch.zeros(0, dtype=torch.int64)
        self._parts: dict[str, list[Tensor]] = {}
        self._random = torch.Generator().manual_seed(seed)

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add the values of some images; every call has the same names.

        Args:
            values: `(n, ...)` by name; kept as float32.
        """
        if not self.capacity:
            each = sum(value[0].numel() * 4 for value in values.values())
            self.capacity = max(1, self.memory // max(1, each))
        number = len(next(iter(values.values())))
        numbers = torch.arange(self.seen, self.seen + number)
        fits = max(0, min(number, self.capacity - self.seen))
        self.seen += number
        self.index = torch.cat([self.index, numbers[:fits]])
        for name, value in values.items():
            if fits:
                self._parts.setdefault(name, []).append(value[:fits].detach().float().cpu())
        if fits < number:
            self._replace(numbers[fits:], {name: value[fits:] for name, value in values.items()})

    def _replace(self, numbers: Int64[Tensor, " n"], values: Mapping[str, Tensor]) -> None:
        slots = (torch.rand(len(numbers), generator=self._random, dtype=torch.float64) * (numbers + 1)).long()
        for row, slot in enumerate(slots.tolist()):
            if slot < self.capacity:
                self.index[slot] = numbers[row]
                for name, value in values.items():
                    self[name][slot] = value[row].float().cpu()

    def __getitem__(self, name: str) -> Tensor:
        """Return the values of the sample by name `(m, ...)`, in float32."""
        parts = self._parts[name]
        if len(parts) > 1:
            parts[:] = [torch.cat(parts)]
        return parts[0]

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    @property
    def whole(self) -> bool:
        """Whether the sample holds every image."""
        return len(self.index) == self.seen
