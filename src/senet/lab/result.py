"""What a training gave: curves, counts, confusion, time, and where it was made. No torch here."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from senet import decode
from senet.errors import CheckpointError
from senet.lab.environment import Environment
from senet.lab.run import Run

__all__ = ["Epoch", "Result", "decode_about_run", "decode_result", "read_about_run"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One line of a training curve.

    Attributes:
        epoch: epochs done, from 1.
        lr: learning rate of the last step.
        train_loss: mean over the epoch, augmented and smoothed as trained [nats].
        test_loss: mean over the test images [nats].
        correct: test images whose highest logit is the label's.
        correct5: test images whose label is among the five highest.
        seconds: training and testing of this epoch, wall time.
    """

    epoch: int
    lr: float
    train_loss: float
    test_loss: float
    correct: int
    correct5: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of a run.

    Attributes:
        run: what was trained.
        curve: one record for each epoch.
        classes: their names, by label.
        confusion: test images by label (row) and answer (column) after the last epoch.
        params: learnable parameters.
        macs: multiply-adds of one image, convolutions and linear maps.
        train_images: images of an epoch.
        train_seconds: time in training steps, without testing and saving.
        data: fingerprint of the data set.
        environment: where it was made.
        notes: what the data reader and the trainer had to say.
    """

    run: Run
    curve: tuple[Epoch, ...]
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    params: int
    macs: int
    train_images: int
    train_seconds: float
    data: str
    environment: Environment = field(default_factory=Environment)
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Test images."""
        return sum(map(sum, self.confusion))

    @property
    def last(self) -> Epoch:
        """The last epoch: what tables report, since choosing the best one on the test set flatters."""
        return self.curve[-1]

    @property
    def best(self) -> Epoch:
        """The epoch with the most correct test images; chosen on the test set, so it flatters."""
        return max(self.curve, key=lambda epoch: epoch.correct)

    @property
    def accuracy(self) -> float:
        """Top-1 after the last epoch [%]."""
        return 100 * self.last.correct / self.total

    @property
    def accuracy5(self) -> float:
        """Top-5 after the last epoch [%]."""
        return 100 * self.last.correct5 / self.total

    @property
    def seconds(self) -> float:
        """Wall time of all epochs, testing included."""
        return sum(epoch.seconds for epoch in self.curve)

    @property
    def images_per_second(self) -> float:
        """Training images that went through in a second."""
        return self.train_images * len(self.curve) / self.train_seconds if self.train_seconds else 0.0

    @property
    def class_accuracy(self) -> tuple[float, ...]:
        """Accuracy of every class [%]; nan for a class without test images."""
        rows = enumerate(self.confusion)
        return tuple(100 * row[label] / sum(row) if sum(row) else float("nan") for label, row in rows)

    def as_dict(self) -> dict[str, Any]:
        """Give the values as JSON has them."""
        return {**asdict(self), "run": self.run.as_dict()}


def decode_result(text: str, *, place: str) -> Result:
    """Read a result from JSON.

    Args:
        text: what `json.dumps(result.as_dict())` gave.
        place: where it comes from, for errors.

    Raises:
        CheckpointError: if it is no result.
    """
    return decode_about_run(Result, text, place=place, what="result")


def decode_about_run(kind: type[T], text: str, *, place: str, what: str, way_out: str = "") -> T:
    """Read from JSON what is known of a run, the run itself among its fields.

    Args:
        kind: of the record.
        text: its values.
        place: where it comes from, for errors.
        what: how errors call it.
        way_out: what to do about one that cannot be read, a sentence behind the error.

    Raises:
        CheckpointError: if it is none.
    """
    try:
        values = json.loads(text)
        values["run"] = asdict(decode.run(values["run"], place=place))
        return decode.record(kind, values, place=place)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{place} is no {what} of this version of senet: {error}{way_out}") from None


def read_about_run(path: Path) -> str | None:
    """Read a file that a run leaves behind; None if there is none yet.

    Raises:
        CheckpointError: if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from None
