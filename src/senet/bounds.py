"""The range of every number that a user can set, in one table. No torch here.

The upper ends are far beyond sensible values: a typing error ends in one line, where it would otherwise overflow, fill
the memory or run forever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin

from senet.errors import SenetError, SpecError, UsageError, shown, unknown

__all__ = ["RANGES", "Range", "check", "check_fields", "check_flags"]


@dataclass(frozen=True)
class Range:
    """The numbers that are allowed in one place.

    Attributes:
        low: smallest number.
        high: largest number.
        whole: whether only whole numbers are allowed.
        above: whether `low` itself is excluded.
        below: whether `high` itself is excluded.
        zero: meaning of 0, if it is special.
    """

    low: float
    high: float
    whole: bool = False
    above: bool = False
    below: bool = False
    zero: str = ""

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        enough = self.low < value if self.above else self.low <= value
        return enough and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        """Return what is allowed: `a whole number from 1 to 1,000`, `a number above 0 and at most 1e+30`."""
        kind = "whole number" if self.whole else "number"
        low = f"above {self.low:,}" if self.above else f"from {self.low:,}"
        high = f"{self.high:,.15g}" if self.high < 2**53 else f"{self.high:.3g}"
        end = f" and below {high}" if self.below else f" and at most {high}" if self.above else f" to {high}"
        return f"a {kind} {low}{end}" + f" (0 {self.zero})" * bool(self.zero)


def _count(low: int, high: int, zero: str = "") -> Range:
    return Range(low, high, whole=True, zero=zero)


_SEED = _count(0, 2**64 - 1)
_PART = Range(0, 1, below=True)  # of 1

RANGES: Mapping[str, Range] = {
    "seed": _SEED,
    "seeds": _SEED,
    "reduction": _count(1, 1_000_000),
    "stages": _count(1, 1_000),
    # data
    "data.size": _count(0, 8_192, "keeps small images as they are, and stands for 224 for photographs"),
    "data.train_size": _count(0, 10**9, "takes all"),
    "data.test_size": _count(0, 10**9, "takes all"),
    "data.val_size": _count(0, 10**9, "holds out none"),
    "data.subset_seed": _SEED,
    "data.crop": Range(0, 1, above=True),
    "data.mean": Range(0, 1),
    "data.std": Range(0, 1e6, above=True),
    "augment.crop": _count(0, 8_192, "is off"),
    "augment.shift": _PART,
    "augment.cutout": _count(0, 8_192, "is off"),
    "augment.resized_crop": Range(0, 1, zero="is off"),
    # recipe
    "recipe.epochs": _count(1, 1_000_000),
    "recipe.batch_size": _count(1, 1_000_000),
    "recipe.accumulate": _count(1, 1_000_000),
    "recipe.label_smoothing": _PART,
    "recipe.ema": _PART,
    "recipe.clip": Range(0, 1e30, zero="is off"),
    "optim.lr": Range(0, 1e30, above=True),  # a step beyond it overflows float32
    "optim.weight_decay": Range(0, 1e30),
    "optim.momentum": _PART,
    "optim.betas": _PART,
    "optim.rho": _PART,
    "optim.eps": Range(0, 1e30),
    "optim.block_lr": Range(0, 1e6),
    "optim.layer_decay": Range(0, 1, above=True),
    "schedule.gamma": Range(0, 1e30, above=True),
    "schedule.warmup_epochs": Range(0, 1_000_000, zero="is none"),
    "schedule.steps epoch": Range(0, 1_000_000),
    "schedule.steps factor": Range(0, 1e30, above=True),
    # search
    "stop_early.warmup": _count(0, 1_000_000, "is a third of the epochs"),
    "stop_early.startup": _count(1, 1_000_000),
    "budget.trials": _count(0, 1_000_000, "means no limit"),
    "budget.minutes": Range(0, 1e9, zero="means no limit"),
    "budget.params": _count(0, 10**15, "means no limit"),
    "shared.epochs": _count(0, 1_000_000, "takes those of the recipe"),
    "shared.middle": _count(0, 1_000),
    "shared.calibration": _count(2, 1_000_000),
    "shared.retrain": _count(1, 10_000),
    "shared.probes": _count(0, 10_000),
    "shared.designs": _count(1, 1_000_000),
    "choices.stages": _count(1, 1_000),
    "choices.blocks": _count(1, 1_000),
    # how much one file may ask for
    "runs of a study": _count(0, 100_000),
    # what a study may conclude
    "margin": Range(0.001, 100),
    # command line
    "--seeds": _count(1, 1_000),
    "seeds of a comparison": _count(1, 1_000),
    "--max-seeds": _count(3, 1_000),
    "max_seeds of a comparison": _count(3, 1_000),
    "--margin": Range(0.001, 100),
    "--detect": Range(0.001, 100),
    "--jobs": _count(0, 4_096, "is one a core"),
    "save_every": Range(0, 1e9),
    "threads": _count(0, 4_096, "divides the cores"),
    "per_gpu": _count(1, 256),
    "workers": _count(0, 4_096),
    "statistics": _count(1, 10**9),
}


def check(place: str, value: Any, *, error: type[SenetError] = SpecError) -> None:
    """Raise an error if a number, or one in a tuple, is out of the range of its place.

    Raises:
        SenetError: of the class `error`.
    """
    allowed = RANGES[place]
    for number in value if isinstance(value, tuple) else (value,):
        if number not in allowed:
            each = f"{allowed}" if number is value else f"{allowed}, each"
            raise error(f"{place} = {shown(value)} is out of range; give {each}.")


def check_fields(record: Any, place: str) -> None:
    """Raise an error if a number of a record is out of its range, or a name is not one of its `Literal` type.

    Args:
        record: an instance of a dataclass.
        place: prefix of its fields in `RANGES`, e.g. `optim`; empty at the top level.

    Raises:
        SpecError: with the dotted place and the value of the first one.
    """
    for entry in fields(record):
        name = f"{place}.{entry.name}" if place else entry.name
        value = getattr(record, entry.name)
        if name in RANGES:
            check(name, value)
        if get_origin(entry.type) is Literal and value not in get_args(entry.type):
            raise unknown(name, value, get_args(entry.type))


def check_flags(**values: float) -> None:
    """Raise an error if an option of the command line is out of range: `check_flags(jobs=2)`.

    Raises:
        UsageError: with the option as it is typed.
    """
    for name, value in values.items():
        check("--" + name.replace("_", "-"), value, error=UsageError)
