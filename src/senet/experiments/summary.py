"""From results to a table: mean and spread of every row, paired differences with their intervals, and verdicts."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeVar

from senet.experiments.chance import mostly_guesses
from senet.experiments.comparable import refuse_other_images
from senet.experiments.image_spread import Tally
from senet.experiments.looks import reached
from senet.experiments.measured_cost import MeasuredCosts, NetworkCost
from senet.experiments.metrics import METRICS
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.statistics import ALPHA, Difference, accuracy_differences, differences
from senet.experiments.study import Row, Study
from senet.experiments.verdict import Verdict, verdict

__all__ = ["MEASURED", "PLANNED", "Estimate", "Line", "metric", "summarize", "summarize_numbers", "tallies"]

T = TypeVar("T")

PLANNED = ALPHA / 2
"""Level of a study whose number of seeds its first ones planned: a small spread by chance makes that number too small,
so that intervals at this level miss in about 5 %."""

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
class Line:
    """One row of a study with what is known about it.

    Attributes:
        row: the row.
        results: by seed; empty where only the accuracies are known.
        missing: seeds without a result.
        values: estimates by metric.
        difference: accuracy against the row's baseline, pair by pair [percentage points]; None for a baseline, a row
            of the same network, and a quoted row.
        verdict: what the difference says; None where there is none.
        costs: measurement of the networks of the study; None if there is none.
    """

    row: Row
    results: Mapping[int, Result]
    missing: tuple[int, ...]
    values: Mapping[str, Estimate]
    difference: Difference | None
    verdict: Verdict | None = None
    costs: MeasuredCosts | None = None

    @property
    def cost(self) -> NetworkCost | None:
        """What the network of the row costs; None if it was not measured."""
        return None if self.costs is None else self.costs.of(self.row.run)

    @property
    def n(self) -> int:
        """Seeds whose accuracy is known."""
        return self.values["accuracy"].n

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


def tallies(results: Mapping[int, Result]) -> dict[int, Tally]:
    """Return the correctly classified images of each test, by seed."""
    return {
        seed: Tally(correct=result.last.correct, total=result.total, right=result.right, data=result.data)
        for seed, result in results.items()
    }


def summarize(study: Study, results: Mapping[Run, Result], *, costs: MeasuredCosts | None = None) -> list[Line]:
    """Make a line for every row of a study.

    Rows with one baseline are compared together; all comparisons share the probability of a wrong interval.

    Raises:
        CheckpointError: if results of the study saw different images.
    """
    refuse_other_images(results[run] for run in study.runs() if run in results)
    found = {
        row.id: {seed: results[run] for seed in study.seeds if (run := study.run(row, seed)) in results}
        for row in study.rows
    }
    compared = _differences(study, {name: tallies(mine) for name, mine in found.items()}, accuracy_differences)
    lines = []
    for row in study.rows:
        mine, difference = found[row.id], compared.get((row.run, study.reference(row)))
        values = {name: Estimate.of([metric(r, name) for r in mine.values()]) for name in MEASURED}
        said = None
        if difference is not None:
            both = (mine, found[study.reference(row) or row.id])
            guesses = all(mostly_guesses(results.values()) for results in both)
            said = verdict(difference, study.margin, guesses=guesses)
        lines.append(
            Line(
                row=row,
                results=mine,
                missing=tuple(seed for seed in study.seeds if seed not in mine),
                values=values,
                difference=difference,
                verdict=said,
                costs=costs,
            )
        )
    return lines


def summarize_numbers(study: Study, accuracies: Mapping[str, Mapping[int, float]]) -> list[Line]:
    """Make a line for every row of a study of which only accuracies are known: intervals then cover the seeds alone.

    Args:
        study: rows and seeds.
        accuracies: by the id of the row and the seed [%].
    """
    compared = _differences(study, accuracies, differences)
    lines = []
    for row in study.rows:
        mine, difference = accuracies[row.id], compared.get((row.run, study.reference(row)))
        lines.append(
            Line(
                row=row,
                results={},
                missing=tuple(seed for seed in study.seeds if seed not in mine),
                values={name: Estimate.of([*mine.values()] if name == "accuracy" else []) for name in MEASURED},
                difference=difference,
                verdict=None if difference is None else verdict(difference, study.margin),
            )
        )
    return lines


def _differences(
    study: Study, found: Mapping[str, Mapping[int, T]], compare: Callable[..., list[Difference]]
) -> dict[tuple[Run, str | None], Difference]:
    """Compare every network with its baseline, once if several rows show it; by its run and the id of the baseline."""
    runs = {row.id: row.run for row in study.rows}
    families: dict[str, dict[Run, str]] = {}
    for row in study.rows:
        other = study.reference(row)
        if other is not None and row.run != runs[other]:
            families.setdefault(other, {})[row.run] = row.id
    alpha = reached(study.looks, len(study.seeds)) if study.looks else PLANNED if study.pilot else ALPHA
    counts = {
        other: sum(bool(found[name].keys() & found[other].keys()) for name in rows.values())
        for other, rows in families.items()
    }
    compared: dict[tuple[Run, str | None], Difference] = {}
    for other, rows in families.items():
        made = compare(
            [found[name] for name in rows.values()],
            found[other],
            alpha=alpha,
            share=counts[other] / sum(counts.values()) if counts[other] else 1.0,
        )
        compared |= {(run, other): each for run, each in zip(rows, made, strict=True)}
    return compared
