"""Training curves of some rows of a study: loss in training, loss and accuracy in testing, epoch by epoch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from senet.lab.figures import COLORS, canvas
from senet.lab.result import Epoch, Result
from senet.lab.summary import Line

__all__ = ["draw_curves"]


def draw_curves(lines: Sequence[Line], path: Path) -> None:
    """Draw the curves of rows side by side, one thin line for each seed and a thick one for their mean.

    Args:
        lines: rows; those without a result are left out.
        path: `.png`, `.svg` or `.pdf`.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    figure = canvas(12, 4)
    panels = figure.subplots(1, 3)
    readings: tuple[tuple[str, Callable[[Result, Epoch], float]], ...] = (
        ("training loss", lambda result, epoch: epoch.train_loss),
        ("test loss", lambda result, epoch: epoch.test_loss),
        ("test accuracy [%]", lambda result, epoch: 100 * epoch.correct / result.total),
    )
    for axes, (label, read) in zip(panels, readings, strict=True):
        for color, line in zip(COLORS, (line for line in lines if line.results), strict=False):
            runs = [[read(result, epoch) for epoch in result.curve] for result in line.results.values()]
            epochs = range(1, len(runs[0]) + 1)
            if len(runs) > 1:
                for run in runs:
                    axes.plot(epochs, run, color=color, linewidth=0.6, alpha=0.5)
            mean = [fmean(values) for values in zip(*runs, strict=True)]
            axes.plot(epochs, mean, color=color, linewidth=1.8, label=line.row.label)
        axes.set(xlabel="epoch", ylabel=label)
        if "loss" in label:
            axes.set_yscale("log")
            low, high = axes.get_ylim()
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            within = int(high / low < 10)  # over more decades the ticks between would run into each other
            axes.yaxis.set_minor_formatter(lambda value, _, within=within: f"{value:g}" * within)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)
