"""The figure of a study: accuracy by epoch, the paired differences, and what they cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from senet.experiments.study import Study
from senet.experiments.summary import Line
from senet.reports.canvas import beside, canvas, epoch_axis, legend, name_points, short, two_lines
from senet.reports.looks import AT_ONCE, BLACK, GREY, Look, looks, point_name
from senet.reports.study_cost import is_reference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "study_looks"]


def study_looks(study: Study) -> Mapping[str, Look]:
    """Return the look of every row by its id, the same in all figures of a study."""
    models = {row.run.model for row in study.rows}
    names = [row.run.design if len(models) == 1 else f"{row.run.model} {row.run.design}" for row in study.rows]
    base = next(row.run for row in study.rows if row.id == study.baseline)
    for at, row in enumerate(study.rows):  # the baseline, trained longer
        if row.run != base and replace(row.run, recipe=base.recipe) == base:
            names[at] = row.label
    return dict(zip([row.id for row in study.rows], looks(names), strict=True))


def draw(study: Study, lines: Sequence[Line], path: Path) -> None:
    """Draw what a study found: curves, differences with their intervals, and the differences against their cost.

    The cost is the measured latency; where that is not known, accuracies are drawn against parameters. Where only
    accuracies are known, the differences are drawn alone. More than eight designs are drawn in a small panel each,
    with all others in grey behind it.

    Args:
        study: provides the title.
        lines: rows; those without a result are left out.
        path: `.png`, `.svg` or `.pdf`.

    Raises:
        StorageError: if the file cannot be written.
        UsageError: if matplotlib is not installed.
    """
    networks = {line.row.run: line for line in reversed(lines) if line.n and not line.row.quoted}
    shown = [line for line in lines if networks.get(line.row.run) is line]  # rows of one network are one point
    look = study_looks(study)
    if not shown:
        return
    if not any(line.results for line in shown):
        _differences_alone(study, shown, look, path)
    elif len(shown) <= AT_ONCE:
        _few(study, shown, look, path)
    else:
        _many(study, shown, look, path)


def _differences_alone(study: Study, shown: Sequence[Line], look: Mapping[str, Look], path: Path) -> None:
    compared = [line for line in shown if line.difference is not None and line.difference.n]
    with canvas(path, 7, 2.2 + 0.35 * len(compared), title=study.title, caption=_caption(study, shown)) as figure:
        _forest(figure.subplots(), compared, look, margin=study.margin)


def _few(study: Study, shown: Sequence[Line], look: Mapping[str, Look], path: Path) -> None:
    compared = [line for line in shown if line.difference is not None and line.difference.n]
    with canvas(
        path,
        14 if compared else 11,
        4.2 + 0.22 * math.ceil(len(shown) / 4),
        title=study.title,
        caption=_caption(study, shown),
    ) as figure:
        ratios = (4, 3, 4) if compared else (1, 1)
        curves, *more, trade = figure.subplots(1, len(ratios), width_ratios=ratios)
        for line in shown:
            _curve(curves, line, look[line.row.id])
        _label_curves(curves, shown)
        for against in more:
            _forest(against, compared, look, margin=study.margin)
        points = _trade(trade, study, shown, look)
        legend(figure, points, [line.row.label for line in shown])


def _many(study: Study, shown: Sequence[Line], look: Mapping[str, Look], path: Path) -> None:
    compared = [line for line in shown if line.difference is not None and line.difference.n]
    rows = math.ceil(len(shown) / 4)
    with canvas(path, 15, max(6.5, 1.0 + 1.9 * rows), title=study.title, caption=_caption(study, shown)) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
        grid = left.subplots(rows, 4, sharex=True, sharey=True, squeeze=False).flat
        for axes, line in zip(grid, shown, strict=False):
            for other in shown:
                _curve(axes, other, Look(GREY, "", "-"), thin=True)
            _curve(axes, line, look[line.row.id])
            axes.set_title(short(line.row.label, most=26))
            epoch_axis(axes, max(line.row.run.recipe.epochs for line in shown))
            axes.label_outer()
        for axes in list(grid)[len(shown) :]:
            axes.remove()
        left.supylabel(f"{_measured(shown)} [%]")
        panels = right.subplots(2 if compared else 1, 1, squeeze=False, height_ratios=(3, 2) if compared else (1,))
        *more, trade = [row[0] for row in panels]
        for against in more:
            _forest(against, compared, look, margin=study.margin)
        _trade(trade, study, shown, look)
        if _costs_known(shown):
            return
        best_first = sorted(shown, key=lambda line: -line.values["accuracy"].mean)
        places = [_place(line) for line in best_first]
        name_points(trade, [point_name(line.row.run.design) for line in best_first], places)


def _label_curves(axes: "Axes", shown: Sequence[Line]) -> None:
    epoch_axis(axes, max(line.row.run.recipe.epochs for line in shown))
    cut = _zoom(axes, shown)
    axes.set(ylabel=f"{_measured(shown)} [%]" + ", lower part cut off" * cut, title="accuracy by epoch")


def _measured(shown: Sequence[Line]) -> str:
    return "held-out accuracy" if any(line.row.run.data.val_size for line in shown) else "test accuracy"


def _costs_known(shown: Sequence[Line]) -> bool:
    return any(line.cost is not None and line.difference is not None and line.difference.n for line in shown)


def _trade(axes: "Axes", study: Study, shown: Sequence[Line], look: Mapping[str, Look]) -> list[Any]:
    """Draw what is gained against what it costs; return the handle of every row for the legend."""
    if _costs_known(shown):
        return _gain_against_latency(axes, study, shown, look)
    points = [_point(axes, line, look[line.row.id]) for line in shown]
    _label_trade(axes, shown)
    return points


def _gain_against_latency(axes: "Axes", study: Study, shown: Sequence[Line], look: Mapping[str, Look]) -> list[Any]:
    """Draw the differences over the margin against the latency: filled as it is, hollow optimized."""
    axes.axhspan(-study.margin, study.margin, color=GREY, alpha=0.15, linewidth=0)
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.axvline(1, color=BLACK, linewidth=0.8)
    handles: list[Any] = []
    for line in shown:
        style, found = look[line.row.id].point, line.difference
        if line.cost is None or found is None or not found.n:
            at = ([1], [0]) if is_reference(line) and study.is_reference(line.row) else ([], [])
            handles += axes.plot(*at, **style)
            continue
        half = None if math.isnan(found.half) else found.half
        for cost, inside in ((line.cost.ordinary, style["color"]), (line.cost.optimized, "white")):
            ratio = cost.latency
            ends: Any = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
            point = axes.errorbar(ratio.median, found.mean, xerr=ends, yerr=half, **style, markerfacecolor=inside)
            if inside != "white":
                handles.append(point)
    axes.set(
        xlabel="latency of one image, ratio to the plain network\n(filled: as it is, hollow: optimized)",
        ylabel="difference of accuracies [points]",
        title="difference against cost",
    )
    return handles


def _label_trade(axes: "Axes", shown: Sequence[Line]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(xlabel="parameters", ylabel=f"{_measured(shown)}, last epoch [%]", title="accuracy against parameters")
    axes.margins(x=0.12)
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")


def _caption(study: Study, shown: Sequence[Line]) -> str:
    """Describe what bands and bars are."""
    several = any(line.values["accuracy"].n > 1 for line in shown)
    parts = ["accuracies: mean ± standard deviation over seeds" if several else "one seed: no spread is known"]
    found = [line.difference for line in shown if line.difference is not None and line.difference.n]
    if found:
        intervals = any(not math.isnan(difference.half) for difference in found)
        parts.append(f"differences: paired by seed, {'95 % intervals' if intervals else 'one pair: no interval'}")
        parts.append(f"grey: the margin, ±{study.margin:g} points")
    if _costs_known(shown):
        parts.append("latency: median and quartiles of the ratios")
    return "; ".join(parts)


def _percents(line: Line) -> list[list[float]]:
    """Return the accuracies of all seeds, epoch by epoch [%]."""
    runs = [[100 * epoch.correct / result.total for epoch in result.curve] for result in line.results.values()]
    return [list(values) for values in zip(*runs, strict=True)]


def _curve(axes: "Axes", line: Line, look: Look, *, thin: bool = False) -> None:
    values = _percents(line)
    epochs = range(1, len(values) + 1)
    means = [fmean(v) for v in values]
    if thin:
        axes.plot(epochs, means, color=look.color, linewidth=0.6, alpha=0.5)
        return
    axes.plot(epochs, means, **look.line, markevery=max(1, len(means) // 6))
    if len(line.results) > 1:
        spread = [stdev(v) for v in values]
        low = [m - s for m, s in zip(means, spread, strict=True)]
        high = [m + s for m, s in zip(means, spread, strict=True)]
        axes.fill_between(epochs, low, high, color=look.color, alpha=0.15, linewidth=0)


def _zoom(axes: "Axes", lines: Sequence[Line]) -> bool:
    """Cut off the first epochs of a training, which would flatten what is compared; whether something was cut off."""
    if min(len(_percents(line)) for line in lines) < 4:
        return False
    levels = sorted(fmean(_percents(line)[len(_percents(line)) // 4]) for line in lines)
    highest = max(max(map(max, _percents(line))) for line in lines)
    bottom = levels[len(levels) // 2]
    if highest - bottom <= 1:
        return False
    axes.set_ylim(bottom, highest + 0.05 * (highest - bottom))
    return True


def _forest(axes: "Axes", compared: Sequence[Line], look: Mapping[str, Look], *, margin: float) -> None:
    """Draw each design's difference to its baseline with its interval, what the table decides by, over the margin."""
    axes.axvspan(-margin, margin, color=GREY, alpha=0.15, linewidth=0)
    axes.axvline(0, color=BLACK, linewidth=0.8)
    for at, line in enumerate(compared):
        found = line.difference
        assert found is not None
        half = None if math.isnan(found.half) else found.half
        filled: Any = "full" if half is not None else "none"
        axes.errorbar(found.mean, at, xerr=half, **look[line.row.id].point, fillstyle=filled)
        if line.verdict is not None:
            beside(axes, at, line.verdict.word)
    axes.set_yticks(range(len(compared)), [two_lines(line.row.label, width=22) for line in compared], fontsize=8)
    axes.set_ylim(len(compared) - 0.5, -0.5)
    axes.set(xlabel="difference of accuracies [points]", title="against the baseline")


def _point(axes: "Axes", line: Line, look: Look) -> Any:
    params, mean, bar = _place(line)
    # hollow, so that two at one place are both seen
    return axes.errorbar(params, mean, yerr=bar or None, **look.point, markersize=8, fillstyle="none")


def _place(line: Line) -> tuple[float, float, float]:
    """Return parameters, mean accuracy [%], and half the length of its bar."""
    value = line.values["accuracy"]
    return line.params or 0, value.mean, value.sd if value.n > 1 else 0.0
