"""Gates through the training: by epoch and block, which shares are open, shut, in the middle or stuck."""

from collections.abc import Sequence
from math import ceil, nan
from pathlib import Path
from statistics import fmean

from senet.experiments.summary import Line
from senet.reports.canvas import canvas, epoch_axis, short
from senet.tables import Table

__all__ = ["draw_gates", "gates_csv", "watched"]

MOST_DESIGNS = 12
MOST_NAMES = 25  # of blocks beside a panel

SHARES = {
    "open": "open (above 98 % of the range)",
    "shut": "shut (below 2 %)",
    "half": "in the middle (within 1 %)",
    "stuck": "stuck channels (move less than 1 %)",
}


def watched(lines: Sequence[Line]) -> list[Line]:
    """Return the rows that have a training whose gates were watched (`watch_gates=true`)."""
    return [line for line in lines if any(_blocks(line))]


def gates_csv(lines: Sequence[Line]) -> str:
    """Return a CSV table of the shares [1] by row, block and epoch: means over the seeds, and how many there are.

    A share that a gate without an upper end does not have is empty.
    """
    rows = []
    for line in lines:
        for block in _blocks(line):
            for epoch in range(1, line.row.run.recipe.epochs + 1):
                means = [round(_mean(line, block, name, epoch), 6) for name in SHARES]
                rows.append([line.row.id, block, epoch, len(_values(line, block, "stuck", epoch)), *means])
    return Table(("row", "block", "epoch", "seeds", *SHARES), rows).csv()


def draw_gates(lines: Sequence[Line], path: Path) -> None:
    """Draw a row of four panels for each design: the shares as shades, blocks from top to bottom, epochs to the right.

    Args:
        lines: rows of `watched`; the first 12 are drawn.
        path: `.png`, `.svg` or `.pdf`.

    Raises:
        StorageError: if the file cannot be written.
        UsageError: if matplotlib is not installed.
    """
    caption = "shades: mean over seeds of the share of gates of a block, or of its channels; up to 256 test images"
    if len(lines) > MOST_DESIGNS:
        caption += f"; {MOST_DESIGNS} of {len(lines)} designs, gates.csv has all"
    lines = lines[:MOST_DESIGNS]
    heights = [1.0 + 0.16 * min(MOST_NAMES, len(_blocks(line))) for line in lines]
    with canvas(path, 14, 1.0 + sum(heights), caption=caption) as figure:
        grid = figure.subplots(len(lines), len(SHARES), squeeze=False, height_ratios=heights)
        for panels, line in zip(grid, lines, strict=True):
            blocks, epochs = _blocks(line), line.row.run.recipe.epochs
            for axes, (name, title) in zip(panels, SHARES.items(), strict=True):
                shades = [[_mean(line, block, name, epoch) for epoch in range(1, epochs + 1)] for block in blocks]
                ends = (0.5, epochs + 0.5, len(blocks) - 0.5, -0.5)
                shown = axes.imshow(shades, aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=ends)
                axes.grid(visible=False)
                epoch_axis(axes, epochs)
                axes.set_xlim(*ends[:2])
                axes.set_title(title)
                named = range(0, len(blocks), ceil(len(blocks) / MOST_NAMES))
                axes.set_yticks(named, [short(blocks[at], most=24) for at in named], fontsize=7)
                axes.label_outer()
            panels[0].set_ylabel(short(line.row.label))
        figure.colorbar(shown, ax=grid, label="share", aspect=40)


def _blocks(line: Line) -> list[str]:
    """Return the blocks whose gates were watched, in the order of the network."""
    names = {block: None for result in line.results.values() for epoch in result.curve for block in epoch.gates}
    return list(names)


def _mean(line: Line, block: str, name: str, epoch: int) -> float:
    return fmean(_values(line, block, name, epoch) or [nan])


def _values(line: Line, block: str, name: str, epoch: int) -> list[float]:
    """Return a share [1] of all seeds in one epoch; those that were not watched have none."""
    curves = [result.curve for result in line.results.values() if len(result.curve) >= epoch]
    found = [curve[epoch - 1].gates.get(block, {}).get(name) for curve in curves]
    return [value for value in found if value is not None]
