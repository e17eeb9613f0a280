"""What a person sees: progress as bars on a terminal and plain lines elsewhere, tables in one look.

All text that comes from outside passes `senet.text.one_line`: it is shown, and nothing in it is obeyed.
"""

import math
import os
import re
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from senet.lab.early import Pruned
from senet.lab.failed import Failed
from senet.lab.result import Result
from senet.lab.study import Study
from senet.lab.summary import Line
from senet.lab.table import SPARE, cells, columns, footnotes
from senet.text import one_line

__all__ = ["Board", "Passing", "console", "say", "say_written", "show_records", "show_rows", "show_table"]


def console() -> Console:
    """Return the console of standard output, as wide as the terminal, or `COLUMNS`, is now.

    A console that is kept would keep the width that `COLUMNS` had when the module was imported.
    """
    return Console(highlight=False)


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
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[said]}", markup=False),
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
            self.tasks[run] = self.bars.add_task(f"  {one_line(p.design)}", total=epochs, said=said)  # type: ignore[attr-defined]
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
            self.bars.console.print(Text(one_line(text), style="dim"))
        elif not self.quiet:
            print(one_line(text), file=sys.stderr, flush=True)


def say(text: str, *, dim: bool = True) -> None:
    """Print a remark; it is wrapped between words where it is longer than a line."""
    console().print(Text(one_line(text), style="dim" if dim else ""))


def say_written(files: Sequence[Path]) -> None:
    """Print the paths of what was written, one in a line and never wrapped, so that they can be copied."""
    for file in files:
        print(f"written: {one_line(file)}")


class Passing:
    """Progress of work that goes over the images again and again. Use it as a context and hand `watch` to the work.

    Args:
        quiet: say nothing, as for `--json`.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet, self.started = quiet, time.monotonic()
        self.live = not quiet and sys.stderr.isatty()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f} of at most {task.total:.0f} passes"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not self.live,
            refresh_per_second=4,
        )

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.stop()

    def watch(self, what: str, done: int, planned: int) -> None:
        """Show that a pass begins.

        Args:
            what: is done in it.
            done: passes before it.
            planned: how many there are at most.
        """
        if self.live:
            if not self.bar.tasks:
                self.bar.add_task(what, total=planned)
            self.bar.update(self.bar.tasks[0].id, description=what, completed=done, total=planned)
        elif not self.quiet:
            left = (time.monotonic() - self.started) / done * (planned - done) if done else math.nan
            eta = "" if math.isnan(left) else f", at most {left:.0f} s left"
            print(f"pass {done + 1} of at most {planned}: {what}{eta}", file=sys.stderr, flush=True)


def show_table(study: Study, lines: list[Line]) -> None:
    """Print the table of a study with its footnotes."""
    show_rows(columns(study), cells(study, lines), title=study.title, spare=SPARE)
    for note in footnotes(study, lines):
        say(f"- {note}")
    deviations = [f"quick scale, {line}" for line in study.scaled] + list(study.deviations)
    if study.source and deviations:
        say("deviations from the paper:")
        for deviation in deviations:
            say(f"- {deviation}")


def show_records(records: Sequence[Mapping[str, object]], *, spare: Sequence[str] = ()) -> None:
    """Print records of equal fields, a line for each; whole numbers get separators.

    Args:
        records: fields by their headings.
        spare: headings of fields that can be left out for want of room, the first one first.
    """
    rows = [[f"{v:,}" if isinstance(v, int) else str(v) for v in record.values()] for record in records]
    heads = list(records[0])
    words = {head for head, *column in zip(heads, *rows, strict=True) if not all(map(_is_number, column))}
    show_rows(heads, rows, words=words, spare=spare)


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[-+]?[\d.,]+( %)?|-|", word) is not None


def show_rows(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    words: Collection[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print a table: the one look of all commands.

    On a terminal, and where `COLUMNS` is set, it is as wide as there is room: spare columns are left out, words are
    wrapped within their column, and where that is not enough every row becomes a list of its cells. A file and a pipe
    have all of it.

    Args:
        heads: a heading for each column; one of several words takes two lines.
        rows: a cell for each column; they are shown as they are, nothing in them is markup.
        title: stands above.
        words: headings of the columns that hold words and stand left, as the first column does; numbers stand right.
        spare: headings of columns that can be left out, the first one first.
    """
    body = [[one_line(cell) for cell in row] for row in rows]
    left = {at for at, head in enumerate(heads) if at == 0 or head in words}
    shown = list(range(len(heads)))
    room = _room()
    gone: list[str] = []
    said = None if title is None else Text(one_line(title), style="bold")
    if said is not None:
        print()
        console().print(said)
    for head in (*spare, None):
        table = _table(heads, body, shown, left, wrapped=False)
        if room is None or _width(table) <= room or head is None:
            break
        if head in heads:
            shown = [at for at in shown if heads[at] != head]
            gone.append(head)
    if room is not None and _width(table) > room:
        table = _table(heads, body, shown, left, wrapped=True)
        if _width(table, least=True) > room:
            _show_lists(heads, body)
            return
    Console(highlight=False, width=_width(table) if room is None else room).print(table)
    if gone:
        say(f"not shown for want of room: {', '.join(dict.fromkeys(gone))}")


def _room() -> int | None:
    """Return the width of the terminal [letters]; None for a file or a pipe, where lines may have any length."""
    if console().is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return console().width
    return None


def _width(table: Table, *, least: bool = False) -> int:
    found = Measurement.get(console(), console().options.update(max_width=10_000), table)
    return found.minimum if least else found.maximum


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[int], left: Collection[int], *, wrapped: bool
) -> Table:
    """Make a table of some columns; with `wrapped` the words of a column may take several lines."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    gaps = {  # words after numbers
        at: int(at in left and before is not None and before not in left)
        for before, at in pairwise([None, *shown])
        if at is not None
    }
    for at in shown:
        wrap = wrapped and at in left
        lines = Text("\n".join(_two_lines(heads[at])))
        side: Any = "left" if at in left else "right"
        said = [*_two_lines(heads[at]), *(row[at] for row in rows)]
        whole = max(map(cell_len, said))
        longest = max((cell_len(word) for text in said for word in text.split()), default=1)
        table.add_column(
            Padding(lines, (0, 0, 0, gaps[at])) if gaps[at] else lines,
            justify=side,
            no_wrap=not wrap,
            overflow="fold",
            min_width=gaps[at] + (max(longest, min(18, whole)) if wrap else whole),
        )
    for row in rows:
        table.add_row(*(Padding(Text(row[at]), (0, 0, 0, gaps[at])) if gaps[at] else Text(row[at]) for at in shown))
    return table


def _show_lists(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print every row as a list of its cells, for a terminal that has no room for a table."""
    for first, *rest in rows:
        console().print(Text(first, style="bold"))
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for head, cell in zip(heads[1:], rest, strict=True):
            if cell not in ("", "-"):
                table.add_row(Text(f"  {head}"), Text(cell))
        console().print(table)


def _two_lines(head: str) -> list[str]:
    """Break a heading before its unit, else at the space nearest to its middle."""
    spaces = [at for at, letter in enumerate(head) if letter == " "]
    if not spaces:
        return [head]
    unit = head.find(" [")
    at = unit if unit >= 0 else min(spaces, key=lambda at: abs(2 * at + 1 - len(head)))
    return [head[:at], head[at + 1 :]]
