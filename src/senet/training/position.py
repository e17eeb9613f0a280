"""The position of a training between two steps, as a checkpoint keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from senet import settings
from senet.experiments.result import MOST_LOSS, MOST_SECONDS, Epoch, check_curve, within

__all__ = ["TrainingPosition", "decode_position"]


@dataclass
class TrainingPosition:
    """The position of a training between two steps.

    Attributes:
        epoch: number of finished epochs.
        step: number of finished steps of the current epoch.
        loss: of these steps, summed over their images [nats].
        seconds: time of these steps, and of the tests of their epoch.
        train_seconds: time of the steps of all epochs.
        curve: the fields of an `Epoch` for every finished epoch.
        start: test images right before the first step, see `Result.start`.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    train_seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    start: int | None = None


def decode_position(values: Mapping[str, Any], *, at: int, steps: int, images: int) -> TrainingPosition:
    """Decode and check the position in a checkpoint.

    Raises:
        ValueError: if a training cannot have this position.
    """
    position = settings.record(TrainingPosition, values)
    within("loss", position.loss, 0, MOST_LOSS)
    within("seconds", position.seconds, 0, MOST_SECONDS)
    within("train_seconds", position.train_seconds, 0, MOST_SECONDS)
    if position.start is not None:
        within("start", position.start, 0, images)
    check_curve([settings.record(Epoch, e) for e in position.curve], total=images, epochs=position.epoch)
    if not 0 <= position.step <= steps or position.epoch * steps + position.step != at:
        raise ValueError(f"epoch {position.epoch} and step {position.step} are not step {at} of the training")
    return position
