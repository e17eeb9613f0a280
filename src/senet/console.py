"""What a person sees while runs go on: bars on a terminal, plain lines elsewhere, nothing on other processes."""

import math
import os
import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from senet.lab.result import Result
from senet.lab.study import Study
from senet.lab.summary import Line
from senet.lab.table import cells, columns, footnotes

__all__ = ["Board", "console", "print_whole", "show_records", "show_table"]

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
        self.started = time.monotonic()
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
        if run not in self.tasks:
            self.tasks[run] = self.bars.add_task(f"  {p.design}", total=epochs, said=said)  # type: ignore[attr-defined]
        self.bars.update(self.tasks[run], completed=epoch, said=said)
        self.parts[run] = epoch / epochs
        self.bars.update(self.all, completed=self.done + sum(self.parts.values()))

    def finish(self, result: Result) -> None:
        """Count a finished run and say its number."""
        self.done += 1
        run = result.run.id
        self.parts.pop(run, None)
        if (task := self.tasks.pop(run, None)) is not None:
            self.bars.remove_task(task)
        self.bars.update(self.all, completed=self.done + sum(self.parts.values()), said=f"{self.done} of {self.total}")
        if not self.live and not self.quiet:
            left = (time.monotonic() - self.started) / self.done * (self.total - self.done)
            print(
                f"{self.done}/{self.total} {result.run.model} {result.run.design} seed {result.run.seed}: "
                f"{result.accuracy:.2f} % in {result.seconds:.0f} s, about {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def note(self, text: str) -> None:
        """Say something in a line of its own."""
        if self.live:
            self.bars.console.print(text, style="dim", highlight=False, markup=False)
        elif not self.quiet:
            print(text, file=sys.stderr, flush=True)


def show_table(study: Study, lines: list[Line]) -> None:
    """Print the table of a study with its footnotes."""
    heads = columns(study)
    table = Table(
        title=study.title,
        title_style="bold",
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    longest = max(len(line.row.label) for line in lines)
    table.add_column(heads[0], min_width=min(longest, 20))
    for head in heads[1:]:
        table.add_column(head.replace(" [", "\n["), justify="right", no_wrap=True)
    for row in cells(study, lines):
        table.add_row(*row)
    print_whole(table)
    for note in footnotes(study, lines):
        console.print(f"- {note}", style="dim")
    deviations = [f"quick scale, {line}" for line in study.scaled] + list(study.deviations)
    if study.source and deviations:
        console.print("deviations from the paper:", style="dim")
        for deviation in deviations:
            console.print(f"- {deviation}", style="dim")


def show_records(rows: list[dict[str, Any]]) -> None:
    """Print records, a line for each; whole numbers get separators."""
    table = Table(header_style="bold")
    for number, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    print_whole(table)


def print_whole(table: Table) -> None:
    """Print a table at its own width: a line that the terminal wraps can be read, a cell that is cut cannot."""
    whole = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    Console(highlight=False, width=max(console.width, whole)).print(table)
