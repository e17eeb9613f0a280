"""The pictures of a study: accuracy curves with their spread, and accuracy against parameters."""

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from senet.errors import UsageError
from senet.lab.study import Study
from senet.lab.summary import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLORS", "MARKS", "canvas", "draw"]

# Okabe and Ito's colours: told apart by colour-blind readers and in print
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8c8c8c")
MARKS = "osD^vP*X"
STYLES = ("-", "--", ":", "-.")


def draw(study: Study, lines: Sequence[Line], path: Path) -> None:
    """Draw the curves and the trade-off of a study side by side.

    Args:
        study: gives the title.
        lines: rows without a result are left out.
        path: `.png`, `.svg` or `.pdf`.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    networks = {line.row.run: line for line in reversed(lines) if line.results and not line.row.quoted}
    shown = [line for line in lines if networks.get(line.row.run) is line]  # rows of one network are one point
    columns = 3 if max((len(line.row.label) for line in shown), default=0) > 25 else 4
    figure = canvas(11, 4 + 0.22 * math.ceil(len(shown) / columns))
    curves, trade = figure.subplots(1, 2)
    for number, line in enumerate(shown):
        again = number // len(COLORS)
        color, mark = COLORS[number % len(COLORS)], MARKS[(number + again) % len(MARKS)]
        _curve(curves, line, color, STYLES[again % len(STYLES)])
        _point(trade, line, color, mark)
    first = next(iter(shown[0].results.values())).run if shown else study.rows[0].run
    figure.suptitle(study.title, fontsize=11)
    curves.set(
        xlabel="epoch", ylabel="test accuracy [%]", title=f"{_networks(shown) or first.model} on {first.data.name}"
    )
    if shown:
        _zoom(curves, shown)
    trade.set(xlabel="parameters", ylabel="test accuracy, last epoch [%]", title=_spread_title(shown))
    trade.ticklabel_format(axis="x", style="plain", useOffset=False)
    trade.xaxis.set_major_locator(_few_ticks())
    trade.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    for axes in (curves, trade):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *trade.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=min(columns, max(1, len(shown))),
        frameon=False,
    )
    figure.savefig(path, dpi=150)


def canvas(width: float, height: float) -> Any:
    """Make an empty figure without touching the caller's pyplot.

    Args:
        width: [inch].
        height: [inch].

    Raises:
        UsageError: if matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("a figure needs matplotlib; pip install 'senet[plot]'.") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _networks(lines: Sequence[Line]) -> str:
    names = {line.row.run.model for line in lines}
    return f"{len(names)} networks" if len(names) > 1 else "".join(names)


def _spread_title(lines: Sequence[Line]) -> str:
    several = any(line.values["accuracy"].n > 1 for line in lines)
    return "mean and standard deviation over seeds" if several else "one seed: no spread is known"


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def _percents(line: Line) -> list[list[float]]:
    """Give the accuracies of all seeds, epoch by epoch [%]."""
    runs = [[100 * epoch.correct / result.total for epoch in result.curve] for result in line.results.values()]
    return [list(values) for values in zip(*runs, strict=True)]


def _curve(axes: "Axes", line: Line, color: str, style: str) -> None:
    values = _percents(line)
    epochs = range(1, len(values) + 1)
    means = [fmean(v) for v in values]
    mark = "o" if len(means) == 1 else ""
    axes.plot(epochs, means, color=color, linestyle=style, marker=mark, label=line.row.label, linewidth=1.6)
    if len(line.results) > 1:
        spread = [stdev(v) for v in values]
        low = [m - s for m, s in zip(means, spread, strict=True)]
        high = [m + s for m, s in zip(means, spread, strict=True)]
        axes.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)


def _zoom(axes: "Axes", lines: Sequence[Line]) -> None:
    # the first epochs of a training would flatten what is compared: start at the median curve's level a quarter in
    levels = sorted(fmean(_percents(line)[len(_percents(line)) // 4]) for line in lines)
    highest = max(max(map(max, _percents(line))) for line in lines)
    bottom = levels[len(levels) // 2]
    if highest - bottom > 1:
        axes.set_ylim(bottom, highest + 0.05 * (highest - bottom))


def _point(axes: "Axes", line: Line, color: str, mark: str) -> None:
    value = line.values["accuracy"]
    error = value.sd if value.n > 1 else None
    axes.errorbar(
        line.params or 0,
        value.mean,
        yerr=error,
        color=color,
        marker=mark,
        capsize=3,
        linestyle="none",
        label=line.row.label,
    )
