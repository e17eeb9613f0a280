"""Warn of a fine-tuning whose first epoch loses what the weights had."""

import warnings

from senet.experiments.result import Epoch
from senet.experiments.run import Run

__all__ = ["warn_of_loss"]

LOST = 0.5  # share of the right answers


def warn_of_loss(start: int | None, epoch: Epoch, *, run: Run, images: int) -> None:
    """Warn if the first epoch leaves less than half of the accuracy that the weights had.

    Norm statistics that are not those of the network's own maps are a frequent cause: they hold in evaluation mode
    and are replaced by those of the batch in training.

    Args:
        start: test images right before the training; None if the weights do not determine all outputs.
        epoch: the epoch that was just tested.
        run: the run that is trained.
        images: images of the test.
    """
    if start and epoch.epoch == 1 and epoch.correct < LOST * start:
        warnings.warn(
            f"run {run.id}: the accuracy fell from {100 * start / images:.1f} to {100 * epoch.correct / images:.1f} % "
            f"in the first epoch; lower optim.lr ({run.recipe.optim.lr:g}), or check that data.mean and data.std are "
            "those of the weights.",
            stacklevel=2,
        )
