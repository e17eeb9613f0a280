"""What a person sees: progress as bars on a terminal and plain lines elsewhere, tables in one look."""

import math
import os
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from senet.lab.early import Pruned
from senet.lab.failed import Failed
from senet.lab.result import Result
from senet.lab.study import Study
from senet.lab.summary import Line
from senet.lab.table import cells, columns, footnotes

__all__ = ["Board", "console", "show_records", "show_rows", "show_table"]

console = Console(stderr=False, highlight=False)


class Board:
    """Progress of many runs. Use it as a context and hand its methods to `execute`.

    Args:
        total: runs in all.
        quiet: say nothing, as for `--json` and for processes that do not lead.
    """

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self.total = total
        self.quiet = quiet or os.environ.get("RANK", "0") != "0"
        self.done = 0
        self.trained = 0
        self.began = math.inf  # the first training
        self.live = not self.quiet and sys.stderr.isatty()
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not self.live,
            refresh_per_second=4,
        )
        self.tasks: dict[str, TaskID] = {}
        self.parts: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        self.all = self.bars.add_task("all runs", total=self.total, said=f"0 of {self.total}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bars.stop()

    def watch(self, progress: object) -> None:
        """Show how a run goes; takes a `senet.lab.train.Progress`."""
        p = progress
        said = f"{p.images_per_second:,.0f} images/s"  # type: ignore[attr-defined]
        if not math.isnan(p.accuracy):  # type: ignore[attr-defined]
            said += f"  {p.accuracy:.1f} %"  # type: ignore[attr-defined]
        run, epoch, epochs = p.run, p.epoch, p.epochs  # type: ignore[attr-defined]
        self.began = min(self.began, time.monotonic())
        if run not in self.tasks:
            self.tasks[run] = self.bars.add_task(f"  {p.design}", total=epochs, said=said)  # type: ignore[attr-defined]
        self.bars.update(self.tasks[run], completed=epoch, said=said)
        self.parts[run] = epoch / epochs
        self.bars.update(self.all, completed=self.done + sum(self.parts.values()))

    def end(self, ended: Result | Pruned | Failed) -> None:
        """Count a run that has ended, and say how."""
        self.done += 1
        run = ended.run
        trained_here = self.parts.pop(run.id, None) is not None
        self.trained += trained_here
        if (task := self.tasks.pop(run.id, None)) is not None:
            self.bars.remove_task(task)
        self.bars.update(self.all, completed=self.done + sum(self.parts.values()), said=f"{self.done} of {self.total}")
        name = f"{self.done}/{self.total} {run.model} {run.design} seed {run.seed}"
        if isinstance(ended, Failed):
            self.note(f"{name}: {'failed' if trained_here else f'failed at {ended.when}'}: {ended.reason}")
        elif isinstance(ended, Pruned):
            self.note(f"{name}: stopped early, {ended}")
        elif not self.live:
            spent = f"in {ended.seconds:.0f} s{self._left()}" if trained_here else "(already there)"
            self.note(f"{name}: {ended.accuracy:.2f} % {spent}")

    def _left(self) -> str:
        """Estimate the time left by the runs that are trained now, whole and in part."""
        trained, left = self.trained + sum(self.parts.values()), self.total - self.done - sum(self.parts.values())
        return f", about {(time.monotonic() - self.began) / trained * left:.0f} s left" if left > 0 else ""

    def note(self, text: str) -> None:
        """Say something in a line of its own."""
        if self.live:
            self.bars.console.print(text, style="dim", highlight=False, markup=False)
        elif not self.quiet:
            print(text, file=sys.stderr, flush=True)


def show_table(study: Study, lines: list[Line]) -> None:
    """Print the table of a study with its footnotes."""
    show_rows(columns(study), cells(study, lines), title=study.title)
    for note in footnotes(study, lines):
        console.print(f"- {note}", style="dim")
    deviations = [f"quick scale, {line}" for line in study.scaled] + list(study.deviations)
    if study.source and deviations:
        console.print("deviations from the paper:", style="dim")
        for deviation in deviations:
            console.print(f"- {deviation}", style="dim")


def show_records(records: Sequence[Mapping[str, object]]) -> None:
    """Print records of equal fields, a line for each; whole numbers get separators."""
    rows = [[f"{v:,}" if isinstance(v, int) else str(v) for v in record.values()] for record in records]
    show_rows(list(records[0]), rows)


def show_rows(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None, words: Collection[str] = ()
) -> None:
    """Print a table: the one look of all commands.

    It keeps its own width: a line that the terminal wraps can be read, a cell that is cut cannot.

    Args:
        heads: a heading for each column; one of several words takes two lines.
        rows: a cell for each column; nothing in them is markup.
        title: stands above.
        words: headings of the columns that hold words and stand left, as the first column does; numbers stand right.
    """
    table = Table(
        title=None if title is None else Text(title, style="bold"),
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    left = [at == 0 or head in words for at, head in enumerate(heads)]
    gaps = [" " * (here and not before) for before, here in pairwise([True, *left])]  # words after numbers
    for head, gap, is_left in zip(heads, gaps, left, strict=True):
        lines = Text("\n".join(gap + line for line in _two_lines(head)))
        table.add_column(lines, justify="left" if is_left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(gap + cell) for gap, cell in zip(gaps, row, strict=True)))
    whole = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    Console(highlight=False, width=max(console.width, whole)).print(table)


def _two_lines(head: str) -> list[str]:
    """Break a heading before its unit, else at the space nearest to its middle."""
    spaces = [at for at, letter in enumerate(head) if letter == " "]
    if not spaces:
        return [head]
    unit = head.find(" [")
    at = unit if unit >= 0 else min(spaces, key=lambda at: abs(2 * at + 1 - len(head)))
    return [head[:at], head[at + 1 :]]
