"""Report a running training: progress to a callback, and the curve to TensorBoard. No torch here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from senet.errors import not_installed
from senet.experiments.result import Epoch

__all__ = ["Progress", "tensorboard"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a running training.

    Attributes:
        run: id of the run.
        design: its blocks in words.
        epoch: epochs done, with a fraction.
        epochs: number of epochs of the training.
        images_per_second: training speed of this epoch.
        accuracy: top-1 accuracy of the last test [%]; nan before the first.
    """

    run: str
    design: str
    epoch: float
    epochs: int
    images_per_second: float
    accuracy: float


@contextmanager
def tensorboard(folder: Path, *, epoch: int, images: int) -> Iterator[Callable[[Epoch], None]]:
    """Open TensorBoard's log of a training and yield a function that adds an epoch to it.

    Raises:
        UsageError: if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise not_installed("writing for TensorBoard", "tensorboard", extra="track") from None
    with SummaryWriter(folder / "tensorboard", purge_step=epoch + 1) as board:

        def write(line: Epoch) -> None:
            accuracy = {"test_accuracy": 100 * line.correct / images, "test_accuracy5": 100 * line.correct5 / images}
            losses = {"train_loss": line.train_loss, "test_loss": line.test_loss}
            shares = {
                f"gates/{block}/{name}": value for block, own in line.gates.items() for name, value in own.items()
            }
            for name, value in {"lr": line.lr, **losses, **accuracy, **shares}.items():
                board.add_scalar(name, value, line.epoch)
            board.flush()

        yield write
