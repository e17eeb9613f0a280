"""The picture of a study: accuracy by epoch, the paired differences, accuracy against parameters."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from senet.experiments.study import Study
from senet.experiments.summary import Line
from senet.reports.canvas import GREY, Look, canvas, epoch_axis, legend, looks, short, tidy
from senet.reports.curves import AT_ONCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "study_looks"]


def study_looks(study: Study) -> Mapping[str, Look]:
    """Return the look of every row by its id, the same in all figures of a study."""
    models = {row.run.model for row in study.rows}
    names = [row.run.design if len(models) == 1 else f"{row.run.model} {row.run.design}" for row in study.rows]
    return dict(zip([row.id for row in study.rows], looks(names), strict=True))


def draw(study: Study, lines: Sequence[Line], path: Path) -> None:
    """Draw what a study found: curves, differences with their intervals, and the trade-off.

    More than eight designs are drawn in a small panel each, with all others in grey behind it.

    Args:
        study: gives the title.
        lines: rows; those without a result are left out.
        path: `.png`, `.svg` or `.pdf`.

    Raises:
        StorageError: if the disk refuses.
        UsageError: if matplotlib is not installed.
    """
    networks = {line.row.run: line for line in reversed(lines) if line.results and not line.row.quoted}
    shown = [line for line in lines if networks.get(line.row.run) is line]  # rows of one network are one point
    look = study_looks(study)
    if not shown:
        return
    if len(shown) <= AT_ONCE:
        _few(study, shown, look, path)
    else:
        _many(study, shown, look, path)


def _few(study: Study, shown: Sequence[Line], look: Mapping[str, Look], path: Path) -> None:
    compared = [line for line in shown if line.difference is not None and line.difference.n]
    with canvas(path, 14 if compared else 11, 4.2 + 0.22 * math.ceil(len(shown) / 4)) as figure:
        ratios = (4, 3, 4) if compared else (1, 1)
        curves, *more, trade = figure.subplots(1, len(ratios), width_ratios=ratios)
        figure.suptitle(short(study.title, most=110), fontsize=11)
        for line in shown:
            _curve(curves, line, look[line.row.id])
        _label_curves(curves, shown, zoom=True)
        for against in more:
            _forest(against, compared, look, margin=study.margin)
        points = [_point(trade, line, look[line.row.id]) for line in shown]
        _label_trade(trade, shown)
        tidy(curves, *more, trade)
        legend(figure, points, [line.row.label for line in shown])


def _many(study: Study, shown: Sequence[Line], look: Mapping[str, Look], path: Path) -> None:
    compared = [line for line in shown if line.difference is not None and line.difference.n]
    rows = math.ceil(len(shown) / 4)
    with canvas(path, 15, max(6.5, 1.0 + 1.9 * rows)) as figure:
        figure.suptitle(short(study.title, most=110), fontsize=11)
        left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
        grid = left.subplots(rows, 4, sharex=True, sharey=True, squeeze=False).flat
        for axes, line in zip(grid, shown, strict=False):
            for other in shown:
                _curve(axes, other, (GREY, "", "-"), thin=True)
            _curve(axes, line, look[line.row.id])
            axes.set_title(short(line.row.label, most=26))
            epoch_axis(axes, max(line.row.run.recipe.epochs for line in shown))
            axes.label_outer()
            tidy(axes)
        for axes in list(grid)[len(shown) :]:
            axes.remove()
        left.supylabel("test accuracy [%], mean ± standard deviation over seeds", fontsize=9)
        panels = right.subplots(2 if compared else 1, 1, squeeze=False, height_ratios=(3, 2) if compared else (1,))
        *more, trade = [row[0] for row in panels]
        for against in more:
            _forest(against, compared, look, margin=study.margin)
        for line in shown:
            _point(trade, line, look[line.row.id])
        _label_trade(trade, shown)
        tidy(*more, trade)


def _label_curves(axes: "Axes", shown: Sequence[Line], *, zoom: bool) -> None:
    epoch_axis(axes, max(line.row.run.recipe.epochs for line in shown))
    cut = zoom and _zoom(axes, shown)
    axes.set(ylabel="test accuracy [%]" + ", lower part cut off" * cut, title=_spread_title(shown))


def _label_trade(axes: "Axes", shown: Sequence[Line]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(xlabel="parameters", ylabel="test accuracy, last epoch [%]", title=_spread_title(shown))
    axes.margins(x=0.12)
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")


def _spread_title(lines: Sequence[Line]) -> str:
    several = any(line.values["accuracy"].n > 1 for line in lines)
    return "mean ± standard deviation over seeds" if several else "one seed: no spread is known"


def _percents(line: Line) -> list[list[float]]:
    """Return the accuracies of all seeds, epoch by epoch [%]."""
    runs = [[100 * epoch.correct / result.total for epoch in result.curve] for result in line.results.values()]
    return [list(values) for values in zip(*runs, strict=True)]


def _curve(axes: "Axes", line: Line, look: Look, *, thin: bool = False) -> None:
    color, mark, style = look
    values = _percents(line)
    epochs = range(1, len(values) + 1)
    means = [fmean(v) for v in values]
    if thin:
        axes.plot(epochs, means, color=color, linewidth=0.6, alpha=0.5)
        return
    every = max(1, len(means) // 6)
    axes.plot(epochs, means, color=color, linestyle=style, marker=mark, markevery=every, markersize=4, linewidth=1.6)
    if len(line.results) > 1:
        spread = [stdev(v) for v in values]
        low = [m - s for m, s in zip(means, spread, strict=True)]
        high = [m + s for m, s in zip(means, spread, strict=True)]
        axes.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)


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
    axes.axvline(0, color="black", linewidth=0.8)
    several = False
    for at, line in enumerate(compared):
        color, mark, _ = look[line.row.id]
        found = line.difference
        assert found is not None
        half = None if math.isnan(found.half) else found.half
        several = several or half is not None
        filled: Any = "full" if half is not None else "none"
        axes.errorbar(found.mean, at, xerr=half, color=color, marker=mark, fillstyle=filled, capsize=3)
        if line.verdict is not None:
            axes.annotate(
                line.verdict.word,
                (found.mean, at),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )
    axes.set_yticks(range(len(compared)), [short(line.row.label, most=22) for line in compared], fontsize=8)
    axes.set_ylim(len(compared) - 0.5, -0.5)
    axes.set(
        xlabel=f"difference of accuracies [points]; band: the margin, ±{margin:g}",
        title="against the baseline, " + ("95 % intervals" if several else "one pair: no interval"),
    )


def _point(axes: "Axes", line: Line, look: Look) -> Any:
    color, mark, _ = look
    value = line.values["accuracy"]
    error = value.sd if value.n > 1 else None
    return axes.errorbar(
        line.params or 0,
        value.mean,
        yerr=error,
        color=color,
        marker=mark,
        markersize=8,
        fillstyle="none",  # of two at one place both are seen
        capsize=3,
        linestyle="none",
    )
