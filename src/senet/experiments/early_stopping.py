"""Early stopping: prune trainings that fall behind others of the same search on the held-out images.

The rule `median` stops a training whose best epoch so far is below the median of the others' best epochs up to the same
epoch. Curves are files in the folder of runs, so those of other processes and machines count too. Studies never stop
early, because their rows are compared after equal trainings.

Source:
    Golovin et al., Google Vizier, KDD 2017, section 3.2.2.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

from senet import settings
from senet.bounds import check_fields
from senet.errors import SpecError
from senet.experiments.result import MOST_IMAGES, Epoch, check_curve, decode_about_run, read_about_run
from senet.experiments.run import Run
from senet.files.documents import DocumentError, parse_json, read_text

__all__ = [
    "FILE",
    "RULES",
    "Pruned",
    "Pruner",
    "Rule",
    "Threshold",
    "curve_of",
    "decode_pruned",
    "read_pruned",
    "read_pruned_list",
]

Rules = Literal["off", "median"]
RULES: tuple[str, ...] = get_args(Rules)
FILE = "pruned.json"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a training is stopped.

    Attributes:
        rule: `off`, or `median`: a training stops when it falls behind the median of the others.
        warmup: epochs before which nothing is stopped; 0 stands for a third of the training.
        startup: number of other curves of at least the same length that must exist.
    """

    rule: Rules = "off"
    warmup: int = 0
    startup: int = 4

    def __post_init__(self) -> None:
        check_fields(self, "stop_early")

    def __bool__(self) -> bool:
        """Whether anything is ever stopped."""
        return self.rule != "off"

    def first(self, epochs: int) -> int:
        """Return the first of `epochs` epochs after which a training may be stopped."""
        return self.warmup or max(1, epochs // 3)

    def to_reach(self, epoch: int, value: float, others: Sequence[float], *, epochs: int) -> float | None:
        """Return the level that a training has missed; None if it continues.

        Args:
            epoch: the last finished epoch, from 1.
            value: best value so far.
            others: best values of the others up to the same epoch.
            epochs: of the whole training.
        """
        if not self or epoch < self.first(epochs) or len(others) < self.startup:
            return None
        level = float(median(others))
        return level if value < level else None


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The level that a stopped training has missed.

    Attributes:
        level: accuracy [%], or minus the loss [nats] where the loss decides.
        others: number of curves whose median it is.
    """

    level: float
    others: int


@dataclass(frozen=True, kw_only=True)
class Pruner:
    """Decide which trainings of one search are stopped, in any process that sees the folder of runs.

    Attributes:
        rule: when to stop.
        root: the folder of runs.
        order: ids of the requested runs, by seed; a run is compared with those before it only, so that a search with
            one job decides the same however often it is restarted.
        by: `accuracy` or `loss`.
    """

    rule: Rule
    root: Path
    order: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    by: str = "accuracy"

    def __call__(self, run: Run, curve: Sequence[Epoch], total: int) -> Threshold | None:
        """Return the level that a training has missed; None if it continues, as it does after its last epoch.

        Raises:
            SpecError: if the run is tested on the test set, which must not decide anything.
        """
        if not run.data.val_size:
            raise SpecError(
                "stop_early would use the test set, because data.val_size = 0; hold out training images, e.g. "
                "val_size = 5000."
            )
        epoch, before = len(curve), self.order.get(run.seed, ())
        if not curve or epoch >= run.recipe.epochs or run.id not in before:
            return None
        curves = (curve_of(self.root / other, total=total) for other in before[: before.index(run.id)])
        others = [self._best(other[:epoch], total) for other in curves if len(other) >= epoch]
        level = self.rule.to_reach(epoch, self._best(curve, total), others, epochs=run.recipe.epochs)
        return None if level is None else Threshold(level=level, others=len(others))

    def _best(self, curve: Sequence[Epoch], total: int) -> float:
        if self.by == "loss":
            return max(-line.test_loss for line in curve)
        return max(100 * line.correct / total for line in curve)


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """A training that was stopped early; its checkpoint is kept, so that it can be resumed.

    Attributes:
        run: the training.
        rule: the rule that stopped it.
        threshold: the level that it missed; `verdict` in the file.
        curve: its epochs.
        total: number of held-out images.
        data: fingerprint of the data set.
    """

    run: Run
    rule: Rule
    threshold: Threshold
    curve: tuple[Epoch, ...]
    total: int
    data: str

    def __post_init__(self) -> None:
        if not 1 <= self.total <= MOST_IMAGES:
            raise SpecError(f"total = {self.total} is not a number of held-out images.")
        if not 1 <= self.epoch <= self.run.recipe.epochs:
            raise SpecError(f"curve has {self.epoch} epochs; a training of {self.run.recipe.epochs} was stopped early.")
        check_curve(self.curve, total=self.total, epochs=self.epoch)
        if not math.isfinite(self.threshold.level) or self.threshold.others < 0:
            raise SpecError(f"verdict = {self.threshold} does not hold a finite level and a number of trainings.")

    @property
    def epoch(self) -> int:
        """Number of its epochs."""
        return len(self.curve)

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy on held-out images after its last epoch [%]; not comparable with finished trainings."""
        return 100 * self.curve[-1].correct / self.total

    @property
    def seconds(self) -> float:
        """Wall time of its epochs, testing included."""
        return sum(epoch.seconds for epoch in self.curve)

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them."""
        return {**asdict(self), "run": self.run.as_dict()}

    def __str__(self) -> str:
        """Return a summary: `31.20 % after epoch 3 of 8`."""
        return f"{self.accuracy:.2f} % after epoch {self.epoch} of {self.run.recipe.epochs}"


def read_pruned(folder: Path) -> Pruned | None:
    """Read why the run of a folder was stopped early; None if it was not.

    Raises:
        CheckpointError: if the file is damaged.
    """
    path = folder / FILE
    text = read_about_run(path)
    return None if text is None else decode_pruned(text, place=str(path))


def read_pruned_list(path: Path) -> dict[str, Pruned]:
    """Read the records of a report, by the id of their runs; without a file, as in older reports, there are none.

    Raises:
        CheckpointError: if a line is not a valid record.
    """
    lines = enumerate((read_about_run(path) or "").splitlines(), 1)
    found = [decode_pruned(line, place=f"{path}:{number}") for number, line in lines]
    return {pruned.run.id: pruned for pruned in found}


def decode_pruned(text: str, *, place: str) -> Pruned:
    """Read a record from JSON.

    Raises:
        CheckpointError: if it is not a valid record.
    """
    return decode_about_run(Pruned, text, place=place, what="record", way_out=" Remove it.")


def curve_of(folder: Path, *, total: int = MOST_IMAGES) -> tuple[Epoch, ...]:
    """Read the finished epochs of a training that may be running; empty if there are none.

    A damaged file counts as no epochs, with a warning, because another process wrote it.
    """
    path = folder / "metrics.jsonl"
    try:
        whole = read_text(path).rpartition("\n")[0]  # the last line may be half written
        lines = [parse_json(line) for line in whole.splitlines()]
        if not all(isinstance(line, dict) for line in lines):
            raise SpecError("each line must be a table.")
        curve = tuple(settings.record(Epoch, line) for line in lines)
        check_curve(curve, total=total, epochs=len(curve))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, DocumentError, SpecError) as error:
        warnings.warn(f"{path} is damaged and left out: {error}", stacklevel=2)
        return ()
    return curve
