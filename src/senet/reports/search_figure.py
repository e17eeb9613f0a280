"""The picture of a search: accuracy against parameters with the Pareto front, and shared scores against real ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from senet.reports.canvas import COLORS, GREY, canvas, short, tidy
from senet.search.outcome import SearchOutcome, Trial
from senet.search.pareto import front
from senet.search.strategy import Design, Score

__all__ = ["draw"]

BLACK, BLUE, ORANGE = COLORS[:3]


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
    with canvas(path, 5.8 * panels, 4.9) as figure:
        axes = figure.subplots(1, panels, squeeze=False)[0]
        figure.suptitle(short(outcome.space.title or outcome.space.name, most=60 * panels), fontsize=11)
        _trade(axes[0], outcome)
        if both and shared is not None:
            _against(axes[1], [(design, pool[design]) for design in both], shared)
        tidy(*axes)
        handles, labels = axes[0].get_legend_handles_labels()
        if handles:  # the plain network alone has none
            figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
        figure.draw_without_rendering()  # texts have sizes only on a figure that is laid out
        cost = _cost(outcome)
        first = [outcome.chosen, (), *front(outcome.scores, ("accuracy", cost))]
        _name(axes[0], {d: (*_place(t, cost), t.spread) for d, t in outcome.trials.items()}, first)
        if both and shared is not None:
            points = {d: (shared[d].accuracy, pool[d].score.accuracy, pool[d].spread) for d in both}
            _name(axes[1], points, first)


def _name(axes: Any, points: Mapping[Design, tuple[float, float, float]], first: Sequence[Design | None]) -> None:
    """Write names beside points, some before others, where they cover neither each other nor a mark or its bar.

    Names for which there is no room are left out; the table has all of them.

    Args:
        axes: the panel.
        points: where each design sits, and half the length of its bar.
        first: designs whose names come first.
    """
    from matplotlib.transforms import Bbox

    inside = axes.get_window_extent()
    taken = []
    for x, y, bar in points.values():
        (left, low), (_, high) = axes.transData.transform([(x, y - bar), (x, y + bar)])
        taken.append(Bbox([[left - 5, low - 5], [left + 5, high + 5]]))
    downwards = sorted(points, key=lambda design: -points[design][1])
    for design in dict.fromkeys([design for design in first if design is not None and design in points] + downwards):
        for shift, side in (((7, 3), "left"), ((-7, 3), "right"), ((7, -9), "left"), ((-7, -9), "right")):
            text = axes.annotate(
                _label(design), points[design][:2], xytext=shift, textcoords="offset points", fontsize=7, ha=side
            )
            text.set_in_layout(False)
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken) and inside.x0 <= box.x0 and box.x1 <= inside.x1:
                taken.append(box)
                break
            text.remove()


def _trade(axes: Any, outcome: SearchOutcome) -> None:
    from matplotlib.ticker import MaxNLocator

    cost = _cost(outcome)
    best = front(outcome.scores, ("accuracy", cost))  # the plain network among them: it may beat all
    for design, trial in outcome.trials.items():
        colour = BLACK if not design else BLUE if design in best else GREY
        mark = "s" if not design else "D" if design in best else "o"  # not by colour alone
        x, y = _place(trial, cost)
        axes.errorbar(x, y, yerr=trial.spread, color=colour, marker=mark, capsize=3, linestyle="")
    if outcome.pruned and cost == "params":  # at the edge: an accuracy of another epoch is none to compare
        costs = [stopped.params for stopped in outcome.pruned]
        low = axes.get_xaxis_transform()
        axes.plot(costs, [0.02] * len(costs), "x", color=GREY, transform=low, label="pruned: no accuracy to compare")
    steps = sorted(_place(outcome.trials[design], cost) for design in best)
    if steps:
        axes.step(*zip(*steps, strict=True), where="post", color=BLUE, alpha=0.5, label="best for their cost")
    if outcome.chosen is not None and outcome.chosen in outcome.trials:
        at = _place(outcome.trials[outcome.chosen], cost)
        axes.plot(*at, "o", markersize=13, fillstyle="none", color=ORANGE, label="chosen")
    several = len(outcome.space.seeds) > 1
    axes.set(
        xlabel="parameters" if cost == "params" else "one image [ms], measured",
        ylabel="held-out accuracy [%]",
        title="± standard deviation over seeds" if several else "one seed; bars: counting error of the images only",
    )
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if cost == "params":
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")


def _cost(outcome: SearchOutcome) -> str:
    return "latency_ms" if "latency_ms" in outcome.space.objectives else "params"


def _place(trial: Trial, cost: str) -> tuple[float, float]:
    return getattr(trial.score, cost), trial.score.accuracy


def _against(axes: Any, both: list[tuple[Design, Trial]], shared: Mapping[Design, Score]) -> None:
    for design, trial in both:
        axes.errorbar(
            shared[design].accuracy,
            trial.score.accuracy,
            yerr=trial.spread,
            color=GREY,
            marker="o",
            capsize=3,
            linestyle="",
        )
    axes.set(
        xlabel="accuracy inside the shared network [%]",
        ylabel="accuracy when trained alone [%]",
        title="held-out images, designs that were trained both ways",
    )
    axes.margins(x=0.12)


def _label(design: Design) -> str:
    """Name a design as shortly as a point of a figure needs."""
    return " + ".join(str(spec).removeprefix("standard ").removeprefix("r=") for spec in design) or "plain"
