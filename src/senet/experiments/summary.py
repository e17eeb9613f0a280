"""From results to a table: mean and spread of every row, and paired differences with their intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from senet.experiments.comparable import refuse_other_images
from senet.experiments.metrics import METRICS
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.study import Row, Study

__all__ = ["MEASURED", "Estimate", "Line", "Paired", "metric", "paired", "summarize"]

MEASURED = tuple(name for name, known in METRICS.items() if known.kind == "measured")
"""The metrics that a test gives."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: of the values; nan without any.
        sd: sample standard deviation; nan below two values.
        n: values.
    """

    mean: float
    sd: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Estimate from values."""
        sd = stdev(values) if len(values) > 1 else math.nan
        return cls(mean=fmean(values) if values else math.nan, sd=sd, n=len(values))


@dataclass(frozen=True, kw_only=True)
class Paired:
    """A mean difference between two rows over the seeds they share.

    Attributes:
        mean: row minus baseline; nan without common seeds.
        low: lower end of the 95 % interval; nan below two pairs: one pair says nothing about spread.
        high: upper end.
        n: pairs.
        p: of the two-sided paired t test that the mean is zero; nan below two pairs.
    """

    mean: float
    low: float
    high: float
    n: int
    p: float = math.nan

    @property
    def decided(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def paired(row: Mapping[int, float], baseline: Mapping[int, float]) -> Paired:
    """Compare two rows seed by seed.

    Args:
        row: values by seed.
        baseline: values by seed.

    Returns:
        The mean difference with the 95 % interval and the test of Student's t over the pairs.

    Example:
        >>> paired({0: 2.0, 1: 4.0}, {0: 1.0, 1: 2.0}).mean
        1.5
    """
    from scipy.special import stdtr, stdtrit

    differences = [value - baseline[seed] for seed, value in row.items() if seed in baseline]
    n = len(differences)
    if n < 2:
        return Paired(mean=differences[0] if n else math.nan, low=math.nan, high=math.nan, n=n)
    error = stdev(differences) / math.sqrt(n)
    half = float(stdtrit(n - 1, 0.975)) * error
    mean = fmean(differences)
    p = 2 * float(stdtr(n - 1, -abs(mean) / error)) if error else float(mean == 0)
    return Paired(mean=mean, low=mean - half, high=mean + half, n=n, p=p)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a study with what is known about it.

    Attributes:
        row: the row.
        results: by seed.
        missing: seeds without a result.
        values: estimates by metric.
        difference: accuracy against the row's baseline, pair by pair [percentage points]; None for a baseline and
            for a quoted row.
    """

    row: Row
    results: Mapping[int, Result]
    missing: tuple[int, ...]
    values: Mapping[str, Estimate]
    difference: Paired | None

    @property
    def params(self) -> int | None:
        """Learnable parameters; None before the first result."""
        return next((result.params for result in self.results.values()), None)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of one image; None before the first result."""
        return next((result.macs for result in self.results.values()), None)

    @property
    def seconds(self) -> float:
        """Mean wall time of a run."""
        return fmean(r.seconds for r in self.results.values()) if self.results else math.nan


def metric(result: Result, name: str) -> float:
    """Read a measured metric of the last epoch: accuracies and errors [%], `loss` [nats]."""
    return {
        "accuracy": result.accuracy,
        "accuracy5": result.accuracy5,
        "top1_error": 100 - result.accuracy,
        "top5_error": 100 - result.accuracy5,
        "loss": result.last.test_loss,
    }[name]


def summarize(study: Study, results: Mapping[Run, Result]) -> list[Line]:
    """Make a line for every row of a study.

    Args:
        study: rows and seeds.
        results: what there is.

    Raises:
        CheckpointError: if results of the study saw different images.
    """
    refuse_other_images(results[run] for run in study.runs() if run in results)
    found = {
        row.id: {seed: results[run] for seed in study.seeds if (run := study.run(row, seed)) in results}
        for row in study.rows
    }
    lines = []
    for row in study.rows:
        mine = found[row.id]
        values = {name: Estimate.of([metric(r, name) for r in mine.values()]) for name in MEASURED}
        difference = None
        if (other := study.reference(row)) is not None:
            base = {seed: result.accuracy for seed, result in found[other].items()}
            difference = paired({seed: result.accuracy for seed, result in mine.items()}, base)
        missing = tuple(seed for seed in study.seeds if seed not in mine)
        lines.append(Line(row=row, results=mine, missing=missing, values=values, difference=difference))
    return lines
