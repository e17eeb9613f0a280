"""Terminal output: progress as bars on a terminal and as lines elsewhere, and tables.

Untrusted text is escaped by `senet.text.one_line`.
"""

import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from senet.experiments.early_stopping import Pruned
from senet.experiments.failed_run import Failed
from senet.experiments.result import Result
from senet.experiments.study import Study
from senet.experiments.summary import Line
from senet.reports.study_cost import cost_heading, cost_notes, cost_table
from senet.reports.study_notes import footnotes, verdict_heading, verdicts
from senet.reports.study_table import study_table
from senet.tables import Table, cell_width, room
from senet.text import one_line

__all__ = ["PassProgress", "RunProgress", "console", "say", "say_written", "show", "show_table"]


def console() -> Console:
    """Return the console of standard output, as wide as the terminal, or `COLUMNS`, is now.

    A console that is kept would keep the width that `COLUMNS` had when the module was imported.
    """
    return Console(highlight=False)


class _Display:
    """A display of progress on standard error: bars on a terminal, lines elsewhere. Use it as a context.

    Args:
        note: the column of text after the bar.
        quiet: print nothing, as for `--json`; processes of a group other than the first never print.
    """

    def __init__(self, note: str, *, quiet: bool) -> None:
        self.quiet = quiet or os.environ.get("RANK", "0") != "0"
        self.live = not self.quiet and sys.stderr.isatty()
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn(note, markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not self.live,
            refresh_per_second=4,
        )

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bars.stop()

    def note(self, text: str) -> None:
        """Print a remark on a line of its own."""
        if self.live:
            self.bars.console.print(Text(one_line(text), style="dim"))
        elif not self.quiet:
            print(one_line(text), file=sys.stderr, flush=True)


class RunProgress(_Display):
    """Progress of many runs. Pass its methods to `execute`.

    Args:
        total: number of runs.
        labels: names of runs by their ids, as in the table that comes; others are named by network and design.
        quiet: see `_Display`.
    """

    def __init__(self, total: int, *, labels: Mapping[str, str] | None = None, quiet: bool = False) -> None:
        super().__init__("{task.fields[note]}", quiet=quiet)
        self.total = total
        self.labels = labels or {}
        self.done = 0
        self.trained = 0
        self.began = math.inf  # the first training
        self.tasks: dict[str, TaskID] = {}
        self.parts: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.all = self.bars.add_task("all runs", total=self.total, note=f"0 of {self.total}")
        return super().__enter__()

    def watch(self, progress: object) -> None:
        """Show the progress of a run, a `senet.training.train.Progress`."""
        p = progress
        note = f"{p.images_per_second:,.0f} images/s"  # type: ignore[attr-defined]
        if not math.isnan(p.accuracy):  # type: ignore[attr-defined]
            note += f"  {p.accuracy:.1f} %"  # type: ignore[attr-defined]
        run, epoch, epochs = p.run, p.epoch, p.epochs  # type: ignore[attr-defined]
        self.began = min(self.began, time.monotonic())
        if run not in self.tasks:
            self.tasks[run] = self.bars.add_task(
                f"  {one_line(self.labels.get(run, p.design))}",  # type: ignore[attr-defined]
                total=epochs,
                note=note,
            )
        self.bars.update(self.tasks[run], completed=epoch, note=note)
        self.parts[run] = epoch / epochs
        self.bars.update(self.all, completed=self.done + sum(self.parts.values()))

    def end(self, ended: Result | Pruned | Failed) -> None:
        """Count a run that has ended, and print its result."""
        self.done += 1
        run = ended.run
        trained_here = self.parts.pop(run.id, None) is not None
        self.trained += trained_here
        if (task := self.tasks.pop(run.id, None)) is not None:
            self.bars.remove_task(task)
        self.bars.update(self.all, completed=self.done + sum(self.parts.values()), note=f"{self.done} of {self.total}")
        label = self.labels.get(run.id, f"{run.model} {run.design}")
        name = f"{self.done}/{self.total} {label} seed {run.seed}"
        if isinstance(ended, Failed):
            self.note(f"{name}: {'failed' if trained_here else f'failed at {ended.when}'}: {ended.reason}")
        elif isinstance(ended, Pruned):
            self.note(f"{name}: stopped early, {ended}")
        elif not self.live:
            spent = f"in {ended.seconds:.0f} s{self._left()}" if trained_here else "(already there)"
            self.note(f"{name}: {ended.accuracy:.2f} % {spent}")

    def _left(self) -> str:
        """Estimate the remaining time from the finished and partial runs of this command."""
        trained, left = self.trained + sum(self.parts.values()), self.total - self.done - sum(self.parts.values())
        return f", about {(time.monotonic() - self.began) / trained * left:.0f} s left" if left > 0 else ""


def say(text: str, *, dim: bool = True) -> None:
    """Print a remark, wrapped between words if it is longer than a line."""
    console().print(Text(one_line(text), style="dim" if dim else ""))


def say_written(files: Sequence[Path]) -> None:
    """Print the paths that were written, one a line and never wrapped, so that they can be copied."""
    for file in files:
        print(f"written: {one_line(file)}")


class PassProgress(_Display):
    """Progress of work that makes several passes over the images. Pass `watch` to the work."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__("{task.completed:.0f} of at most {task.total:.0f} passes", quiet=quiet)
        self.started = time.monotonic()

    def watch(self, what: str, done: int, planned: int) -> None:
        """Show the start of a pass."""
        if self.live:
            if not self.bars.tasks:
                self.bars.add_task(one_line(what), total=planned)
            self.bars.update(self.bars.tasks[0].id, description=one_line(what), completed=done, total=planned)
        else:
            left = (time.monotonic() - self.started) / done * (planned - done) if done else math.nan
            eta = "" if math.isnan(left) else f", at most {left:.0f} s left"
            self.note(f"pass {done + 1} of at most {planned}: {what}{eta}")


def show_table(study: Study, lines: Sequence[Line]) -> None:
    """Print the table of a study with its footnotes."""
    show(study_table(study, lines), title=study.title)
    if sentences := verdicts(study, lines):
        say(verdict_heading(study), dim=False)
    for sentence in sentences:
        say(f"- {sentence}", dim=False)
    if (cost := cost_table(lines)) is not None:
        show(cost, title=cost_heading(lines))
    if sentences or cost is not None:
        print()
    for note in (*footnotes(study, lines), *cost_notes(lines)):
        say(f"- {note}")
    deviations = [f"quick scale, {line}" for line in study.scaled] + list(study.deviations)
    if study.source and deviations:
        say("deviations from the paper:")
        for deviation in deviations:
            say(f"- {deviation}")


def show(table: Table, *, title: str | None = None) -> None:
    """Print a table, fitted to the width of the terminal, or of `COLUMNS`; files and pipes get all columns."""
    if title is not None:
        print()
        console().print(Text(one_line(title), style="bold"))
    found = table.layout(room())
    screen = Console(highlight=False, width=max((cell_width(line) for line in (*found.heads, *found.body)), default=1))
    for line in found.heads:
        screen.print(Text(one_line(line), style="bold"))
    for line in found.body:
        screen.print(Text(one_line(line), style="" if found.heads or line.startswith(" ") else "bold"))
    if found.note:
        say(found.note)
