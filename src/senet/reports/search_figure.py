"""The figure of a search: accuracy against parameters with the Pareto front, and shared scores against real ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from senet.reports.canvas import canvas, legend, name_points
from senet.reports.looks import BLACK, GREY, Look, looks, point_name
from senet.search.outcome import SearchOutcome, Trial
from senet.search.pareto import front
from senet.search.strategy import Design, Score
from senet.spec import design_name

__all__ = ["draw"]

Point = tuple[float, float, float]
"""Where a design sits, x and y, and half the length of its bar."""


def draw(
    outcome: SearchOutcome,
    path: Path,
    *,
    shared: Mapping[Design, Score] | None = None,
    pool: Mapping[Design, Trial] | None = None,
) -> None:
    """Draw a search.

    Args:
        outcome: its trials.
        path: `.png`, `.svg` or `.pdf`.
        shared: scores of the shared network, for a second panel.
        pool: trainings that the second panel shows; None stands for those of the outcome.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    pool = outcome.trials if pool is None else pool
    both = [design for design in pool if shared and design in shared]
    panels = 2 if both else 1
    title, cost = outcome.space.title or outcome.space.name, _cost(outcome)
    several = len(outcome.space.seeds) > 1
    bars = "standard deviation over seeds" if several else "counting error of the images only, as there is one seed"
    caption = f"bars: {bars}; filled: best for their cost"
    names = list({**outcome.trials, **{design: pool[design] for design in both}})
    look = dict(zip(names, looks([design_name(design) for design in names]), strict=True))
    with canvas(path, 5.8 * panels, 5.1, title=title, caption=caption) as figure:
        axes = figure.subplots(1, panels, squeeze=False)[0]
        legend(figure, *_trade(axes[0], outcome, look))
        points = {design: (*_place(trial, cost), trial.spread) for design, trial in outcome.trials.items()}
        first = [outcome.chosen, (), *front(outcome.scores, ("accuracy", cost))]
        if both and shared is not None:
            against = {d: (shared[d].accuracy, pool[d].score.accuracy, pool[d].spread) for d in both}
            _against(axes[1], against, look)
            _name(axes[1], against, first)
        _name(axes[0], points, first)


def _name(axes: Any, points: Mapping[Design, Point], first: Sequence[Design | None]) -> None:
    """Name the points, some designs before others; names for which there is no room are in the table."""
    downwards = sorted(points, key=lambda design: -points[design][1])
    order = dict.fromkeys([design for design in first if design is not None and design in points] + downwards)
    name_points(axes, [point_name(design_name(design)) for design in order], [points[design] for design in order])


def _trade(axes: Any, outcome: SearchOutcome, look: Mapping[Design, Look]) -> tuple[list[Any], list[str]]:
    """Draw accuracy against cost; return the handles and labels of the legend."""
    from matplotlib.ticker import MaxNLocator

    cost = _cost(outcome)
    best = front(outcome.scores, ("accuracy", cost))  # the plain network among them: it may beat all
    for design, trial in outcome.trials.items():
        x, y = _place(trial, cost)
        axes.errorbar(
            x, y, yerr=trial.spread, **look[design].point, markersize=7, fillstyle="full" if design in best else "none"
        )
    handles: list[Any] = []
    labels: list[str] = []
    steps = sorted(_place(outcome.trials[design], cost) for design in best)
    if steps:
        steps.append((max(_place(trial, cost)[0] for trial in outcome.trials.values()), steps[-1][1]))
        handles += axes.step(*zip(*steps, strict=True), where="post", color=GREY, linestyle="-", zorder=1)
        labels.append("best for their cost")
    if outcome.chosen is not None and outcome.chosen in outcome.trials:
        x, y = _place(outcome.trials[outcome.chosen], cost)
        handles += axes.plot(x, y, "o", markersize=14, fillstyle="none", color=BLACK)
        labels.append("chosen")
    if outcome.pruned and cost == "params":  # at the edge: an accuracy of another epoch cannot be compared
        costs = [stopped.params for stopped in outcome.pruned]
        low = axes.get_xaxis_transform()
        handles += axes.plot(costs, [0.02] * len(costs), "x", color=GREY, transform=low)
        labels.append("pruned: no accuracy to compare")
    axes.set(
        xlabel="parameters" if cost == "params" else "one image [ms], measured",
        ylabel="held-out accuracy [%]",
        title="what was tried",
    )
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if cost == "params":
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    return handles, labels


def _cost(outcome: SearchOutcome) -> str:
    return "latency_ms" if "latency_ms" in outcome.space.objectives else "params"


def _place(trial: Trial, cost: str) -> tuple[float, float]:
    return getattr(trial.score, cost), trial.score.accuracy


def _against(axes: Any, points: Mapping[Design, Point], look: Mapping[Design, Look]) -> None:
    for design, (x, y, bar) in points.items():
        axes.errorbar(x, y, yerr=bar, **look[design].point, markersize=7, fillstyle="none")
    axes.set(
        xlabel="accuracy inside the shared network [%]",
        ylabel="accuracy when trained alone [%]",
        title="designs that were trained both ways, held-out images",
    )
    axes.margins(x=0.12)
