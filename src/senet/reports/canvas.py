"""One look for all figures, and one way to write them: whole or not at all."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senet.errors import UsageError, not_installed
from senet.files.atomic import write_bytes
from senet.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLORS",
    "GREY",
    "MARKS",
    "STYLES",
    "Look",
    "canvas",
    "epoch_axis",
    "legend",
    "looks",
    "no_figures",
    "save",
    "short",
    "tidy",
]

# Okabe and Ito's colours: told apart by colour-blind readers and in print
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8c8c8c")
GREY = COLORS[7]
MARKS = "osD^vP*X"
STYLES = ("-", "--", ":", "-.")

Look = tuple[str, str, str]
"""Colour, mark and line of a design: it is told by all three, not by its colour alone."""


def no_figures() -> UsageError | None:
    """Return what says why no figure can be drawn here; None if figures can be drawn."""
    if find_spec("matplotlib") is None:
        return not_installed("a figure", "matplotlib", extra="plot")
    return None


@contextmanager
def canvas(path: Path, width: float, height: float) -> Iterator[Any]:
    """Open an empty figure without touching the caller's pyplot, and write it at the end.

    Texts in it are text: a `$` in a label begins no formula. Letters that the font lacks are drawn as boxes.

    Args:
        path: `.png`, `.svg` or `.pdf`; it is replaced as a whole.
        width: [inch].
        height: [inch].

    Raises:
        StorageError: if the disk refuses; what was there is whole.
        UsageError: if matplotlib is not installed.
    """
    if (missing := no_figures()) is not None:
        raise missing
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+")
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        save(figure, path)


def save(figure: "Figure", path: Path) -> None:
    """Write a figure in the place of the file `path`, whole or not at all.

    Raises:
        StorageError: if the disk refuses; what was there is whole.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=150, format=path.suffix.removeprefix(".") or "png")
    write_bytes(path, drawn.getvalue())


def looks(names: Sequence[str]) -> list[Look]:
    """Return a look for each design, by its name: equal designs look alike in every figure.

    The plain network is black with a circle. Others have the look that their name asks for, or the next one that is
    free: a design keeps its look as long as no other of the same study asks for it before.

    Args:
        names: of the designs, in order.
    """
    number = len(COLORS) - 1  # all but black
    given: list[Look] = []
    taken: set[int] = set()
    for name in names:
        if name == "plain":
            given.append((COLORS[0], MARKS[0], STYLES[0]))
            continue
        wanted = _KNOWN.get(name, sum(map(ord, name)) % number)
        at = next(spot for spot in range(wanted, wanted + len(names) + number) if spot not in taken)
        taken.add(at)
        again = at // number
        color, mark = COLORS[1 + at % number], MARKS[(1 + at % number + again) % len(MARKS)]
        given.append((color, mark, STYLES[(1 + at + again) % len(STYLES)]))
    return given


# the designs of `compare` have their own, so that they never ask for the same
_KNOWN = {"standard r=16": 0, "standard r=4": 1, "slow_both r=16": 2, "bump r=16": 3, "standard r=8": 4}


def short(text: object, *, most: int = 40) -> str:
    """Return a label as a figure has room for it: one line, its middle left out where it is long."""
    said = one_line(text)
    half = (most - 3) // 2
    return said if len(said) <= most else f"{said[: most - 3 - half]}...{said[-half:]}"


def tidy(*panels: "Axes") -> None:
    """Draw a light grid and no frame."""
    for axes in panels:
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(10)


def epoch_axis(axes: "Axes", epochs: int) -> None:
    """Count epochs in whole numbers, with room for the first and the last."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_xlim(1 - 0.03 * max(1, epochs), epochs + 0.03 * max(1, epochs))
    axes.xaxis.set_major_locator(MaxNLocator(min(8, epochs), integer=True, min_n_ticks=1))


def legend(figure: "Figure", handles: Sequence[Any], labels: Sequence[str], *, columns: int = 4) -> None:
    """Put a legend of all labels below the panels, filled row by row."""
    said = [short(label) for label in labels]
    widest = max(map(len, said), default=0)
    room = max(1, int(figure.get_figwidth() * 11 / (widest + 6)))
    columns = max(1, min(columns, room, len(said)))
    order = [at for column in range(columns) for at in range(column, len(said), columns)]  # matplotlib fills columns
    names = [f" {said[at]}" if said[at].startswith("_") else said[at] for at in order]
    figure.legend([handles[at] for at in order], names, loc="outside lower center", ncols=columns, frameon=False)
