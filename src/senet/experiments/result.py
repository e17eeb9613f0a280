"""The result of a run: curve, counts, confusion matrix, time, environment. No torch here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from senet import settings
from senet.errors import CheckpointError, SpecError, reason_of
from senet.experiments import decoding
from senet.experiments.confusion import ConfusionCounts, Matrix
from senet.experiments.environment import Environment
from senet.experiments.image_bits import check_bits
from senet.experiments.run import Run
from senet.files.documents import DocumentError, parse_json, read_text

__all__ = [
    "NETWORK_NOTE",
    "Epoch",
    "Result",
    "check_curve",
    "decode_about_run",
    "decode_result",
    "read_about_run",
    "within",
]

T = TypeVar("T")

NETWORK_NOTE = "network: "
"""Beginning of the notes of a result that are about the network, not about the data."""

# far above any training: a larger number was damaged or edited
MOST_IMAGES = 10**12
MOST_PARAMS = 10**15
MOST_MACS = 10**18
MOST_SECONDS = 1e10
MOST_LOSS = 1e38


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One line of a training curve.

    Attributes:
        epoch: number of the epoch, from 1.
        lr: learning rate of the last step.
        train_loss: mean over the epoch, with augmentation and label smoothing [nats].
        test_loss: mean over the test images [nats].
        correct: number of test images whose highest logit is the label's.
        correct5: number of test images whose label is among the five highest.
        seconds: wall time of training and testing of this epoch.
        gates: shares of gates that are `open`, `shut`, in the middle of their range (`half`), and of channels that are
            `stuck`, by block [1]; empty where gates are not watched.
    """

    epoch: int
    lr: float
    train_loss: float
    test_loss: float
    correct: int
    correct5: int
    seconds: float
    gates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for block, shares in self.gates.items():
            for name, share in shares.items():
                within(f"gates[{block!r}].{name}", share, 0, 1)
        for name in ("lr", "train_loss", "test_loss"):
            within(name, getattr(self, name), 0, MOST_LOSS)
        within("seconds", self.seconds, 0, MOST_SECONDS)
        within("epoch", self.epoch, 1, MOST_IMAGES)
        within("correct5", self.correct5, 0, MOST_IMAGES)
        within("correct", self.correct, 0, self.correct5, most_is="correct5")

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them, without gates that are not watched."""
        values = asdict(self)
        return values if self.gates else {name: value for name, value in values.items() if name != "gates"}


def check_curve(curve: Sequence[Epoch], *, total: int, epochs: int) -> None:
    """Raise an error for an inconsistent training curve.

    Raises:
        SpecError: if epochs are missing, duplicate or unordered, or an epoch has more right answers than images.
    """
    if len(curve) != epochs:
        raise SpecError(f"curve has {len(curve)} epochs, expected {epochs}; the record is damaged or was edited.")
    for number, epoch in enumerate(curve):
        if epoch.epoch != number + 1:
            raise SpecError(f"curve[{number}].epoch = {epoch.epoch}, expected {number + 1}.")
        within(f"curve[{number}].correct5", epoch.correct5, 0, total, most_is="the images tested")


def within(name: str, value: float, least: float, most: float, *, most_is: str = "") -> None:
    """Raise an error for a number outside its bounds, or nan.

    Args:
        name: name of the number.
        value: the number.
        least: smallest allowed value.
        most: largest allowed value.
        most_is: description of `most`, for the error.

    Raises:
        SpecError: with name, number and bounds.
    """
    if not least <= value <= most:
        said = repr(value) if len(repr(value)) <= 24 else f"{repr(value)[:20]}..."
        top = f"{most_is}, {most:,}" if most_is else f"{most:g}"
        raise SpecError(f"{name} = {said} is not a number from {least:g} to {top}.")


@dataclass(frozen=True, kw_only=True)
class Result(ConfusionCounts):
    """The result of a run; an inconsistent one raises an error, because files of results can be edited and damaged.

    Attributes:
        run: the run.
        curve: one record for each epoch.
        classes: names of the classes, by label.
        confusion: numbers of test images by label (row) and prediction (column) after the last epoch.
        params: learnable parameters.
        macs: multiply-adds of one image in convolutions and linear maps.
        train_images: number of images of an epoch.
        train_seconds: time of training steps, without testing and saving.
        data: fingerprint of the data set.
        environment: environment of the training; of its last part, if it was resumed in another one.
        before: environments of the earlier parts, in order.
        notes: remarks of data reader and trainer.
        right: which test images were classified correctly after the last epoch, see `image_bits.pack`; empty in
            results of earlier versions.
        start: test images right before the training, of a network whose weights determine all its outputs; None of
            other networks, and in results of earlier versions.
    """

    run: Run
    curve: tuple[Epoch, ...]
    classes: tuple[str, ...]
    confusion: Matrix
    params: int
    macs: int
    train_images: int
    train_seconds: float
    data: str
    environment: Environment = field(default_factory=Environment)
    before: tuple[Environment, ...] = ()
    notes: tuple[str, ...] = ()
    right: str = ""
    start: int | None = None

    def __post_init__(self) -> None:
        within("params", self.params, 1, MOST_PARAMS)
        within("macs", self.macs, 0, MOST_MACS)
        within("train_images", self.train_images, 1, MOST_IMAGES)
        within("train_seconds", self.train_seconds, 0, MOST_SECONDS)
        sides = {len(self.classes), len(self.confusion), *map(len, self.confusion)}
        if len(sides) != 1:
            raise SpecError(
                f"confusion has {len(self.confusion)} rows of {sorted({*map(len, self.confusion)})} numbers for "
                f"{len(self.classes)} classes; it is square, with one row for each class."
            )
        for label, row in enumerate(self.confusion):
            for answer, count in enumerate(row):
                within(f"confusion[{label}][{answer}]", count, 0, MOST_IMAGES)
        within("the sum of confusion", self.total, 1, MOST_IMAGES)
        check_curve(self.curve, total=self.total, epochs=self.run.recipe.epochs)
        if self.correct != self.last.correct:
            raise SpecError(
                f"curve[{len(self.curve) - 1}].correct = {self.last.correct} contradicts confusion, which has "
                f"{self.correct} right answers on its diagonal."
            )
        if self.start is not None:
            within("start", self.start, 0, self.total, most_is="the images tested")
        check_bits(self.right, correct=self.correct, total=self.total)

    @property
    def last(self) -> Epoch:
        """The last epoch, which tables report: choosing the best one on the test set would be biased."""
        return self.curve[-1]

    @property
    def best(self) -> Epoch:
        """The epoch with the most correct test images; biased, because it is chosen on the test set."""
        return max(self.curve, key=lambda epoch: epoch.correct)

    @property
    def start_accuracy(self) -> float | None:
        """Top-1 of the weights before the training [%]; None where `start` is."""
        return None if self.start is None else 100 * self.start / self.total

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
        """Training images per second."""
        return self.train_images * len(self.curve) / self.train_seconds if self.train_seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them, without what is unknown and earlier versions did not record."""
        values = {**asdict(self), "run": self.run.as_dict(), "curve": tuple(epoch.as_dict() for epoch in self.curve)}
        unknown = {"right": "", "start": None}
        return {name: value for name, value in values.items() if name not in unknown or value != unknown[name]}


def decode_result(text: str, *, place: str) -> Result:
    """Read a result from JSON.

    Raises:
        CheckpointError: if it is not a valid result.
    """
    return decode_about_run(Result, text, place=place, what="result")


def decode_about_run(kind: type[T], text: str, *, place: str, what: str, way_out: str = "") -> T:
    """Read a record with a field `run` from JSON.

    Raises:
        CheckpointError: if it is not valid.
    """
    try:
        values = parse_json(text)
        if not isinstance(values, dict) or not isinstance(values.get("run"), Mapping) or not values["run"]:
            raise SpecError("a table with a table `run` in it is needed.")
        json.dumps(values, ensure_ascii=False).encode()  # raises for surrogates, which cannot be written
        values["run"] = asdict(decoding.run(values["run"], place="run"))
        return settings.record(kind, values)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = reason_of(error, whole=True)
        raise CheckpointError(f"{place} is not a {what} of this version of senet: {reason}.{way_out}") from None


def read_about_run(path: Path) -> str | None:
    """Read a file of a run folder; None if there is none yet.

    Raises:
        CheckpointError: if it cannot be read.
    """
    try:
        return read_text(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, DocumentError) as error:
        raise CheckpointError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
