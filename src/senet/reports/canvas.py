"""One look for all figures, and one way to write them: whole or not at all."""

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill, wrap
from typing import TYPE_CHECKING, Any

from senet.errors import UsageError, not_installed
from senet.files.atomic import write_bytes
from senet.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["beside", "canvas", "epoch_axis", "legend", "name_points", "no_figures", "short", "two_lines"]

SETTINGS: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "errorbar.capsize": 3,
    "figure.labelsize": 9,
    "figure.titlesize": 11,
    "font.size": 9,
    "grid.alpha": 0.25,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "text.parse_math": False,  # a `$` in a label begins no formula
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
DPI = 150


def no_figures() -> UsageError | None:
    """Return an error that names the missing library; None if figures can be drawn."""
    if find_spec("matplotlib") is None:
        return not_installed("a figure", "matplotlib", extra="plot")
    return None


@contextmanager
def canvas(path: Path, width: float, height: float, *, title: str = "", caption: str = "") -> Iterator[Any]:
    """Open an empty figure without touching the caller's pyplot, and write it at the end, whole or not at all.

    Letters that the font lacks are drawn as boxes.

    Args:
        path: `.png`, `.svg` or `.pdf`; an existing file is replaced.
        width: [inch].
        height: [inch].
        title: above all panels.
        caption: below all panels: what bars, bands and lines stand for.

    Raises:
        StorageError: if the file cannot be written; an existing one is unchanged.
        UsageError: if matplotlib is not installed.
    """
    if (missing := no_figures()) is not None:
        raise missing
    from matplotlib import rc_context, rcdefaults, rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(), warnings.catch_warnings():
        rcdefaults()  # what the caller has set is for the caller's figures
        rcParams.update(SETTINGS)
        warnings.filterwarnings("ignore", r"Glyph \d+")
        figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(fill(short(title, most=160), int(11.5 * width)))
        if caption:
            figure.supxlabel(fill(caption, int(14 * width)), fontsize=8)
        yield figure
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=DPI, format=path.suffix.removeprefix(".") or "png")
        write_bytes(path, drawn.getvalue())


def short(text: object, *, most: int = 40) -> str:
    """Return a label as a figure has room for it: one line, its middle left out where it is long."""
    line = one_line(text)
    half = (most - 3) // 2
    return line if len(line) <= most else f"{line[: most - 3 - half]}...{line[-half:]}"


def two_lines(text: object, *, width: int) -> str:
    """Return a label on at most two lines, broken between words; its middle is left out where it is longer."""
    lines = wrap(short(text, most=2 * width), width)
    return "\n".join(lines) if len(lines) <= 2 else short(text, most=width)


def epoch_axis(axes: "Axes", epochs: int) -> None:
    """Count epochs in whole numbers, with room for the first and the last."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    margin = max(0.15, 0.04 * (epochs - 1))
    axes.set_xlim(1 - margin, epochs + margin)
    axes.xaxis.set_major_locator(MaxNLocator(min(8, epochs), integer=True, min_n_ticks=1))


def legend(figure: Any, handles: Sequence[Any], labels: Sequence[str], *, columns: int = 4) -> None:
    """Put a legend of all labels below the panels, filled row by row; the caption becomes its title."""
    names = [short(label) for label in labels]
    widest = max(map(len, names), default=0)
    room = max(1, int(figure.get_figwidth() * 12 / (widest + 6)))
    lines = math.ceil(len(names) / max(1, min(columns, room)))
    columns = math.ceil(len(names) / max(1, lines))  # so that the last line is about as long as the others
    order = [at for column in range(columns) for at in range(column, len(names), columns)]  # matplotlib fills columns
    shown = [f" {names[at]}" if names[at].startswith("_") else names[at] for at in order]
    caption = figure.get_supxlabel() or None
    shown_handles = [handles[at] for at in order]
    figure.legend(shown_handles, shown, loc="outside lower center", ncols=columns, title=caption, title_fontsize=8)
    figure.supxlabel("").set_in_layout(False)  # the layout knows either of the two, and would draw one over the other


def beside(axes: Any, at: float, text: str) -> None:
    """Write a text to the right of a panel, at a height in data: there it covers nothing."""
    axes.annotate(text, (1.01, at), xycoords=("axes fraction", "data"), va="center", fontsize=8, annotation_clip=False)


def name_points(axes: Any, names: Sequence[str], points: Sequence[tuple[float, float, float]]) -> None:
    """Write names beside points where they cover neither each other nor a point or its bar.

    A name that must stand farther away has a thin line to its point. Call it when everything else is drawn.

    Args:
        axes: the panel.
        names: of the points; where there is no room the last ones are left out.
        points: x, y and half the length of the bar, as data.
    """
    from matplotlib.transforms import Bbox

    axes.figure.canvas.figure.draw_without_rendering()  # texts have sizes only on a figure that is laid out
    taken: list[Any] = []
    pt = DPI / 72  # pixels
    for x, y, bar in points:
        (left, low), (_, high) = axes.transData.transform([(x, y - bar), (x, y + bar)])
        middle = (low + high) / 2
        taken += [Bbox([[left - pt, low], [left + pt, high]])]
        taken.append(Bbox([[left - 6 * pt, middle - 6 * pt], [left + 6 * pt, middle + 6 * pt]]))
    written: list[Any] = []
    for name, (x, y, _) in zip(names, points, strict=True):
        for away in (7, 14, 24, 36, 50):
            if boxes := _written(axes, short(name, most=24), (x, y), away, taken, written):
                written += boxes
                break


def _written(axes: Any, name: str, at: tuple[float, float], away: int, taken: list[Any], written: list[Any]) -> Any:
    """Write a name in one of eight directions at a distance [points], with a line to its point where it is far.

    Args:
        axes: the panel.
        name: text.
        at: the point, as data.
        away: distance.
        taken: boxes of points and bars, which the name must not cover.
        written: boxes of names and their lines, which neither the name nor its line may cover.

    Returns:
        The box of the name and boxes along its line; empty if there is no room.
    """
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    inside, start = axes.get_window_extent(), axes.transData.transform(at)
    line_style = {"arrowstyle": "-", "linewidth": 0.4, "shrinkA": 0, "shrinkB": 4}
    for across, up in ((1, 0.8), (-1, 0.8), (1, -0.8), (-1, -0.8), (0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1)):
        text = axes.annotate(
            name,
            at,
            xytext=(across * away, up * away),
            textcoords="offset points",
            fontsize=7,
            ha="left" if across > 0 else "right",
            va="center",
            arrowprops={**line_style, "relpos": (0 if across > 0 else 1, 0.5)} if away > 7 else None,
        )
        text.set_in_layout(False)
        text.update_positions(axes.figure.canvas.get_renderer())
        box = Text.get_window_extent(text)  # without the line to the point
        end = (box.x0 if across > 0 else box.x1, (box.y0 + box.y1) / 2)
        parts = [start + share * (end - start) for share in (0.4, 0.55, 0.7, 0.85)] if away > 7 else []
        line = [Bbox([[x - 1, y - 1], [x + 1, y + 1]]) for x, y in parts]
        fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
        free = not any(box.overlaps(other) for other in taken) and not any(
            part.overlaps(other) for part in (box, *line) for other in written
        )
        if fits and free:
            return [box, *line]
        text.remove()
    return []
