"""Where a training stands between two steps, and whether what was saved of it can be true."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from senet import settings
from senet.experiments.result import MOST_LOSS, MOST_SECONDS, Epoch, check_curve, within

__all__ = ["TrainingPosition", "decode_position"]


@dataclass
class TrainingPosition:
    """Where a training stands between two steps.

    Attributes:
        epoch: whole epochs done.
        step: steps done of the next one.
        loss: of these, summed over their images [nats].
        seconds: of these and of the tests that belong to their epoch.
        train_seconds: of the steps of all epochs.
        curve: the fields of an `Epoch` for every whole epoch.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    train_seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)


def decode_position(values: Mapping[str, Any], *, at: int, steps: int, images: int) -> TrainingPosition:
    """Decode where a training stood.

    Args:
        values: as `asdict` made them of a `TrainingPosition`.
        at: steps that it had taken in all.
        steps: of an epoch.
        images: that it is tested on.

    Raises:
        ValueError: if it cannot have stood there.
    """
    moment = settings.record(TrainingPosition, values)
    within("loss", moment.loss, 0, MOST_LOSS)
    within("seconds", moment.seconds, 0, MOST_SECONDS)
    within("train_seconds", moment.train_seconds, 0, MOST_SECONDS)
    check_curve([settings.record(Epoch, e) for e in moment.curve], total=images, epochs=moment.epoch)
    if not 0 <= moment.step <= steps or moment.epoch * steps + moment.step != at:
        raise ValueError(f"epoch {moment.epoch} and step {moment.step} are not step {at} of the training")
    return moment
