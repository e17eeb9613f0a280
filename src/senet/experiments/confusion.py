"""What a confusion matrix holds: how many images are classified correctly, of how many, by class."""

import math

__all__ = ["ConfusionCounts", "Matrix"]

Matrix = tuple[tuple[int, ...], ...]


class ConfusionCounts:
    """Base of every record with a confusion matrix.

    Attributes:
        confusion: images by label (row) and answer (column).
    """

    confusion: Matrix

    @property
    def correct(self) -> int:
        """Correctly classified images."""
        return sum(row[label] for label, row in enumerate(self.confusion))

    @property
    def total(self) -> int:
        """Images tested."""
        return sum(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """Top-1 [%]; nan without images."""
        return 100 * self.correct / self.total if self.total else math.nan

    @property
    def class_accuracy(self) -> tuple[float, ...]:
        """Accuracy of every class [%]; nan for a class without images."""
        rows = enumerate(self.confusion)
        return tuple(100 * row[label] / sum(row) if sum(row) else math.nan for label, row in rows)

    @property
    def class_error(self) -> tuple[float, ...]:
        """Standard error of every class's accuracy as a binomial share [points]; nan for a class without images."""
        counts = map(sum, self.confusion)
        shares = (accuracy / 100 for accuracy in self.class_accuracy)
        return tuple(100 * math.sqrt(p * (1 - p) / n) if n else math.nan for p, n in zip(shares, counts, strict=True))
