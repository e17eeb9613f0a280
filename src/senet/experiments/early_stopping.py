"""Stopping trainings that fall clearly behind others of the same search, by their curves on held-out images.

The rule `median` stops a training whose best epoch so far is below the median of the others' best epochs up to the same
one. Curves are files in the folder of runs, so it sees what other processes and machines train. Studies never stop
early: their rows are compared after equal trainings.

Source:
    Golovin et al., Google Vizier, KDD 2017, section 3.2.2.
"""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from senet import settings
from senet.bounds import check_fields
from senet.errors import SpecError, unknown
from senet.experiments.result import MOST_IMAGES, Epoch, check_curve, decode_about_run, read_about_run
from senet.experiments.run import Run
from senet.files.documents import DocumentError, parse_json, read_text

__all__ = ["FILE", "RULES", "Judge", "Pruned", "Rule", "Verdict", "curve_of", "decode_pruned", "read_pruned"]

RULES = ("off", "median")
FILE = "pruned.json"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a training is stopped.

    Attributes:
        rule: a name of `RULES`.
        warmup: epochs that every training gets; 0 stands for a third of them.
        startup: other curves that have come as far before anything is stopped.
    """

    rule: str = "off"
    warmup: int = 0
    startup: int = 4

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise unknown("stop_early.rule", self.rule, RULES)
        check_fields(self, "stop_early")

    def __bool__(self) -> bool:
        """Whether anything is ever stopped."""
        return self.rule != "off"

    def first(self, epochs: int) -> int:
        """Give the first epoch of `epochs` after which a training may be stopped."""
        return self.warmup or max(1, epochs // 3)

    def to_reach(self, epoch: int, value: float, others: Sequence[float], *, epochs: int) -> float | None:
        """Give what a training had to reach and has not; None lets it go on.

        Args:
            epoch: that it has ended, from 1.
            value: its best so far.
            others: the best so far of the others that have come as far.
            epochs: of the whole training.
        """
        if not self or epoch < self.first(epochs) or len(others) < self.startup:
            return None
        level = float(median(others))
        return level if value < level else None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Why a training is stopped.

    Attributes:
        level: what it had to reach by then: accuracy [%], or minus the loss [nats] where the loss decides.
        others: curves that this is taken from.
    """

    level: float
    others: int


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Judges trainings of one search, in any process that sees the folder of runs.

    Attributes:
        rule: when to stop.
        root: the folder of runs.
        order: ids of the runs that were asked for, by seed; a run is held against those before it, so that one
            worker alone decides the same however often it is stopped and started.
        by: `accuracy` or `loss`.
    """

    rule: Rule
    root: Path
    order: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    by: str = "accuracy"

    def __call__(self, run: Run, curve: Sequence[Epoch], total: int) -> Verdict | None:
        """Judge a training by its curve so far; the last epoch is not judged, since all is spent by then.

        Args:
            run: that is trained.
            curve: its epochs.
            total: held-out images.

        Raises:
            SpecError: if the run is tested on the test set: nothing may be decided by that.
        """
        if not run.data.val_size:
            raise SpecError(
                "stop_early would look at the test set: data.val_size = 0; hold out training images, e.g. "
                "val_size = 5000."
            )
        epoch, before = len(curve), self.order.get(run.seed, ())
        if not curve or epoch >= run.recipe.epochs or run.id not in before:
            return None
        curves = (curve_of(self.root / other, total=total) for other in before[: before.index(run.id)])
        others = [self._best(other[:epoch], total) for other in curves if len(other) >= epoch]
        level = self.rule.to_reach(epoch, self._best(curve, total), others, epochs=run.recipe.epochs)
        return None if level is None else Verdict(level=level, others=len(others))

    def _best(self, curve: Sequence[Epoch], total: int) -> float:
        if self.by == "loss":
            return max(-line.test_loss for line in curve)
        return max(100 * line.correct / total for line in curve)


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """A training that was stopped because it fell behind; its checkpoint stays, so it could go on.

    Attributes:
        run: what was trained.
        rule: that stopped it.
        verdict: why.
        curve: its epochs until then.
        total: held-out images.
        data: fingerprint of the data set.
    """

    run: Run
    rule: Rule
    verdict: Verdict
    curve: tuple[Epoch, ...]
    total: int
    data: str

    def __post_init__(self) -> None:
        if not 1 <= self.total <= MOST_IMAGES:
            raise SpecError(f"total = {self.total} is not a number of held-out images.")
        if not 1 <= self.epoch <= self.run.recipe.epochs:
            raise SpecError(f"curve has {self.epoch} epochs; a training of {self.run.recipe.epochs} was stopped early.")
        check_curve(self.curve, total=self.total, epochs=self.epoch)
        if not math.isfinite(self.verdict.level) or self.verdict.others < 0:
            raise SpecError(f"verdict = {self.verdict} names no level or no number of other trainings.")

    @property
    def epoch(self) -> int:
        """Epochs that it had."""
        return len(self.curve)

    @property
    def accuracy(self) -> float:
        """Top-1 on held-out images after its last epoch [%]: not to be ranked with finished trainings."""
        return 100 * self.curve[-1].correct / self.total

    @property
    def seconds(self) -> float:
        """Wall time of its epochs, testing included."""
        return sum(epoch.seconds for epoch in self.curve)

    def as_dict(self) -> dict[str, Any]:
        """Give the values as JSON has them."""
        return {**asdict(self), "run": self.run.as_dict()}

    def __str__(self) -> str:
        """Say it: `31.20 % after epoch 3 of 8`."""
        return f"{self.accuracy:.2f} % after epoch {self.epoch} of {self.run.recipe.epochs}"


def read_pruned(folder: Path) -> Pruned | None:
    """Read why the run of a folder was stopped early; None if it was not.

    Raises:
        CheckpointError: if the file does not say it.
    """
    path = folder / FILE
    text = read_about_run(path)
    pruned = None if text is None else _as_today(text)
    return None if pruned is None else decode_pruned(pruned, place=str(path))


def decode_pruned(text: str, *, place: str) -> Pruned:
    """Read a record from JSON.

    Args:
        text: what `json.dumps(pruned.as_dict())` gave.
        place: where it comes from, for errors.

    Raises:
        CheckpointError: if it is no record.
    """
    text = _as_today(text) or text
    return decode_about_run(Pruned, text, place=place, what="record", way_out=" Remove it.")


def _as_today(text: str) -> str | None:
    """Return a record without the factor that earlier versions wrote; None if their rule `halving` made it."""
    try:
        values = parse_json(text)
    except DocumentError:
        return text
    rule = values.get("rule") if isinstance(values, dict) else None
    if not isinstance(rule, dict) or "factor" not in rule:
        return text
    del rule["factor"]
    return None if rule.get("rule") == "halving" else json.dumps(values)


def curve_of(folder: Path, *, total: int = MOST_IMAGES) -> tuple[Epoch, ...]:
    """Read the epochs that any training has ended so far, while it is at work; there may be none.

    What another process wrote must not end this one: a damaged file counts as no epochs, with a warning.

    Args:
        folder: of its run.
        total: images that it is tested on.
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
