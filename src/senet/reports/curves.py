"""Training curves of some rows of a study: loss in training, loss and accuracy in testing, epoch by epoch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from senet.experiments.result import Epoch, Result
from senet.experiments.summary import Line
from senet.reports.canvas import canvas, epoch_axis, legend
from senet.reports.looks import AT_ONCE, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curves"]

READINGS: tuple[tuple[str, Callable[[Result, Epoch], float]], ...] = (
    ("training loss", lambda result, epoch: epoch.train_loss),
    ("test loss", lambda result, epoch: epoch.test_loss),
    ("test accuracy [%]", lambda result, epoch: 100 * epoch.correct / result.total),
)


def draw_curves(lines: Sequence[Line], path: Path, *, styles: Sequence[Look]) -> None:
    """Draw the curves of rows side by side, one thin line for each seed and a thick one for their mean.

    Raises:
        StorageError: if the file cannot be written.
        UsageError: if matplotlib is not installed.
    """
    styled = list(zip(lines, styles, strict=True))
    parts = [styled[first : first + AT_ONCE] for first in range(0, len(styled), AT_ONCE)]
    longest = max(line.row.run.recipe.epochs for line in lines)
    several = any(len(line.results) > 1 for line in lines)
    caption = "thick: mean over seeds, thin: every seed" if several else ""
    with canvas(path, 12, 0.6 + 3.3 * len(parts) + 0.22 * (len(lines) // 4 + 1), caption=caption) as figure:
        grid = figure.subplots(len(parts), 3, squeeze=False, sharex=True, sharey="col")
        handles = []
        for row, part in zip(grid, parts, strict=True):
            for axes, (label, read) in zip(row, READINGS, strict=True):
                drawn = [_curve(axes, line, read, look) for line, look in part]
                axes.set_ylabel(label)
                epoch_axis(axes, longest)
                if "loss" in label:
                    _logarithmic(axes)
            handles += drawn
        legend(figure, handles, [line.row.label for line in lines])


def _curve(axes: "Axes", line: Line, read: Callable[[Result, Epoch], float], look: Look) -> object:
    runs = [[read(result, epoch) for epoch in result.curve] for result in line.results.values()]
    epochs = range(1, len(runs[0]) + 1)
    if len(runs) > 1:
        for run in runs:
            axes.plot(epochs, run, color=look.color, linewidth=0.6, alpha=0.5)
    mean = [fmean(values) for values in zip(*runs, strict=True)]
    (drawn,) = axes.plot(epochs, mean, **look.line, markevery=max(1, len(mean) // 6))
    return drawn


def _logarithmic(axes: "Axes") -> None:
    """Scale by logarithms where all values allow it, with plain numbers at the ticks."""
    if axes.dataLim.y0 <= 0:
        return
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    within = int(high / low < 10)  # over more decades the ticks between would run into each other
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" * within)
