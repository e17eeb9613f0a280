"""Sums of gates, logits and maps by class, in float64, over any number of images.

Letters in shapes: n images, c channels, k classes.
"""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

__all__ = ["ClassSums", "Moments"]


class Moments:
    """Count, mean and standard deviation by class and channel, from sums that are shifted by the first image.

    The shift keeps the digits of gates that hardly vary.

    Attributes:
        number: values that are not NaN `(k, c)`.
        first: sum of the values minus the shift `(k, c)`.
        second: sum of their squares `(k, c)`.
        shift: the values of the first image, 0 where they are NaN `(1, c)`.
    """

    def __init__(self, channels: int) -> None:
        self.number: Float64[Tensor, "k c"] = torch.zeros(0, channels, dtype=torch.float64)
        self.first: Float64[Tensor, "k c"] = torch.zeros(0, channels, dtype=torch.float64)
        self.second: Float64[Tensor, "k c"] = torch.zeros(0, channels, dtype=torch.float64)
        self.shift: Float64[Tensor, "1 c"] | None = None

    def add(self, rows: Int64[Tensor, " n"], values: Float64[Tensor, "n c"], classes: int) -> None:
        """Add the values of some images.

        Args:
            rows: class of each image, from 0.
            values: the values; NaN where there is none.
            classes: number of classes so far.
        """
        if self.shift is None:
            self.shift = values[:1].nan_to_num(nan=0.0)
        if (missing := classes - len(self.number)) > 0:
            more = torch.zeros(missing, values.shape[1], dtype=torch.float64)
            self.number, self.first, self.second = (
                torch.cat([part, more]) for part in (self.number, self.first, self.second)
            )
        known = ~values.isnan()
        shifted = torch.where(known, values - self.shift, 0.0)
        self.number.index_add_(0, rows, known.double())
        self.first.index_add_(0, rows, shifted)
        self.second.index_add_(0, rows, shifted.square())

    @property
    def mean(self) -> Float64[Tensor, "k c"]:
        """Mean of each class; NaN where it has no value."""
        assert self.shift is not None
        return self.first / self.number + self.shift

    @property
    def std(self) -> Float64[Tensor, "k c"]:
        """Population standard deviation within each class; NaN where it has no value."""
        return (self.second / self.number - (self.first / self.number).square()).clamp(min=0).sqrt()

    def overall(self) -> tuple[Float64[Tensor, " c"], Float64[Tensor, " c"]]:
        """Return mean and population standard deviation over all images."""
        assert self.shift is not None
        number = self.number.sum(0)
        mean = self.first.sum(0) / number
        spread = (self.second.sum(0) / number - mean.square()).clamp(min=0).sqrt()
        return mean + self.shift[0], spread


class ClassSums:
    """What is summed by class for one block.

    Attributes:
        gates: of the gates.
        logits: of the logits.
        squeeze: of the means of the input over positions.
        before: of the root mean squares of the input over positions.
        after: of the root mean squares of the output.
    """

    def __init__(self, channels: int) -> None:
        self.gates, self.logits, self.squeeze = Moments(channels), Moments(channels), Moments(channels)
        self.before, self.after = Moments(channels), Moments(channels)

    def arrange(self, order: Int64[Tensor, " k"]) -> None:
        """Bring the classes into another order."""
        for sums in (self.gates, self.logits, self.squeeze, self.before, self.after):
            sums.number, sums.first, sums.second = (part[order] for part in (sums.number, sums.first, sums.second))
