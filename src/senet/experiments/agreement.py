"""Whether our order of the rows is the paper's: Kendall's tau-b with an interval over our seeds."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from senet.experiments.metrics import METRICS
from senet.experiments.rank_correlation import kendall
from senet.experiments.study import Study
from senet.experiments.summary import Line, metric

__all__ = ["LEAST_SEEDS", "Agreement", "agreement"]

DRAWS = 1000
"""Bootstrap samples, drawn by a fixed seed."""

LEAST_SEEDS = 5
"""Below, an interval of the bootstrap covers 64 to 85 % in place of 95 %, so there is none."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of two orders of the same rows.

    Attributes:
        metric: by which they are ordered.
        tau: Kendall's tau-b, -1 to 1; nan below three rows or where one order is all ties.
        low: lower end of the 95 % bootstrap interval over our seeds; nan below five seeds.
        high: upper end.
        rows: distinct networks with both numbers.
        seeds: seeds that all of these rows have.
    """

    metric: str
    tau: float
    low: float
    high: float
    rows: int
    seeds: int


def agreement(study: Study, lines: Sequence[Line]) -> Agreement | None:
    """Compare the paper's order of the rows with ours, by the first measured metric that the paper prints.

    Rows that share a network count once, quoted rows not at all. The interval resamples the seeds that all rows
    have, as pairs: it holds our spread only, the paper's single runs have none.

    Returns:
        None if the paper prints no measured metric.
    """
    name = next(
        (
            n
            for n, known in METRICS.items()
            if known.kind == "measured" and any(n in dict(row.paper) for row in study.rows)
        ),
        None,
    )
    if name is None:
        return None
    by_run = {line.row.run: line for line in lines if not line.row.quoted and name in dict(line.row.paper)}
    ranked = [line for line in by_run.values() if line.results]
    seeds = [seed for seed in study.seeds if all(seed in line.results for line in ranked)]
    paper = [dict(line.row.paper)[name] for line in ranked]
    ours = [{seed: metric(result, name) for seed, result in line.results.items()} for line in ranked]
    if len(ranked) < 3:
        return Agreement(metric=name, tau=math.nan, low=math.nan, high=math.nan, rows=len(ranked), seeds=len(seeds))
    tau = kendall(paper, [fmean(row.values()) for row in ours]).value
    low = high = math.nan
    if len(seeds) >= LEAST_SEEDS and not math.isnan(tau):
        orders = Counter(_ranks([fmean(r[s] for s in draw) for r in ours]) for draw in _draws(seeds))
        found = [(kendall(paper, order).value, count) for order, count in orders.items()]
        taus = sorted(t for t, count in found for _ in range(count) if not math.isnan(t))
        low, high = taus[int(0.025 * (len(taus) - 1))], taus[math.ceil(0.975 * (len(taus) - 1))]
    return Agreement(metric=name, tau=tau, low=low, high=high, rows=len(ranked), seeds=len(seeds))


def _ranks(values: Sequence[float]) -> tuple[int, ...]:
    """Number values from the smallest; all that tau depends on, and the same for many draws."""
    return tuple(sum(other < value for other in values) for value in values)


def _draws(seeds: Sequence[int]) -> list[tuple[int, ...]]:
    draw = random.Random(0)
    return [tuple(draw.choices(seeds, k=len(seeds))) for _ in range(DRAWS)]
