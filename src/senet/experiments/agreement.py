"""Whether our order of the rows is the paper's: Kendall's tau-b with an interval over our seeds."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from statistics import fmean

from senet.experiments.metrics import METRICS
from senet.experiments.study import Study
from senet.experiments.summary import Line, metric

__all__ = ["Agreement", "agreement", "kendall"]

EXACT = 4096
"""Bootstrap samples that are enumerated; more are drawn by a fixed seed."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How alike two orders of the same rows are.

    Attributes:
        metric: by which they are ordered.
        tau: Kendall's tau-b, -1 to 1; nan below three rows or where one order is all ties.
        low: lower end of the 95 % bootstrap interval over our seeds; nan below two seeds.
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


def kendall(a: Sequence[float], b: Sequence[float]) -> float:
    """Give Kendall's tau-b of two orders; nan where one of them is all ties or has less than two values.

    Source:
        M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945).

    Example:
        >>> kendall([1, 2, 3, 4], [1, 3, 2, 4])
        0.6666666666666666
    """
    agree = first = second = 0
    for (a1, b1), (a2, b2) in combinations(zip(a, b, strict=True), 2):
        one, other = (a1 > a2) - (a1 < a2), (b1 > b2) - (b1 < b2)
        agree += one * other
        first += one != 0
        second += other != 0
    return agree / math.sqrt(first * second) if first and second else math.nan


def agreement(study: Study, lines: Sequence[Line]) -> Agreement | None:
    """Compare the paper's order of the rows with ours, by the first measured metric that the paper prints.

    Rows that share a network count once, quoted rows not at all. The interval resamples the seeds that all rows
    have, as pairs: it holds our spread only, the paper's single runs have none.

    Args:
        study: rows with the paper's numbers.
        lines: what `summarize` made of it.

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
    tau = kendall(paper, [fmean(row.values()) for row in ours])
    low = high = math.nan
    if len(seeds) > 1 and not math.isnan(tau):
        taus = sorted(
            t
            for draw in _draws(seeds)
            if not math.isnan(t := kendall(paper, [fmean(r[s] for s in draw) for r in ours]))
        )
        low, high = taus[int(0.025 * (len(taus) - 1))], taus[math.ceil(0.975 * (len(taus) - 1))]
    return Agreement(metric=name, tau=tau, low=low, high=high, rows=len(ranked), seeds=len(seeds))


def _draws(seeds: Sequence[int]) -> list[tuple[int, ...]]:
    if len(seeds) ** len(seeds) <= EXACT:
        return list(product(seeds, repeat=len(seeds)))
    draw = random.Random(0)
    return [tuple(draw.choices(seeds, k=len(seeds))) for _ in range(EXACT)]
