"""The body of `senet fold`: progress, tables, the last sentence."""

import sys
from dataclasses import dataclass
from math import isinf
from pathlib import Path
from typing import Any

from senet.console import say, say_written, show_rows
from senet.execution.setup import Setup
from senet.files.atomic import ensure_writable
from senet.lab.fold_report import block_rows, sentence, step_rows
from senet.lab.folding import finite, prepare, write_folded
from senet.lab.run import Run
from senet.surgery import fold
from senet.text import one_line

__all__ = ["Asked", "fold_command"]

WORDS = {"replaced", "constants went to", ""}  # columns that are no numbers


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `senet.fold` is to do, see there.

    Attributes:
        tolerance: infinite for no bound.
        sure: likewise.
        blocks: likewise.
        per: likewise.
        at: likewise.
        dry_run: likewise.
        quiet: print nothing.
    """

    tolerance: float
    sure: bool
    blocks: int | None
    per: str
    at: str
    dry_run: bool
    quiet: bool


def fold_command(
    name: str,
    run: Run | None,
    setup: Setup,
    asked: Asked,
    folder: Path,
    *,
    weights: Path | None,
    origin: str,
    normalize: str,
    statistics: int,
    command: str,
) -> dict[str, Any]:
    """Fold a network, show how it went, write the files.

    Args:
        name: as `senet.lab.folding.prepare` takes it, with the other arguments of that name.
        run: likewise.
        setup: device and paths.
        asked: bounds and order.
        folder: where the files go.
        weights: likewise.
        origin: likewise.
        normalize: likewise.
        statistics: likewise.
        command: what was typed.

    Returns:
        The report as JSON has it.
    """
    ensure_writable(folder)  # before minutes of measuring, not after
    subject = prepare(name, run, setup, weights=weights, origin=origin, normalize=normalize, statistics=statistics)
    folded = fold(
        subject.model,
        subject.statistics,
        test=subject.test,
        tolerance=None if isinf(asked.tolerance) else asked.tolerance,
        sure=asked.sure,
        blocks=asked.blocks,
        per=asked.per,
        at=asked.at,
        dry_run=asked.dry_run,
        watch=None if asked.quiet else _say,
    )
    if not asked.quiet and sys.stderr.isatty():
        print(file=sys.stderr)
    files = write_folded(subject, folded, folder, command=command)
    if not asked.quiet:
        for heads, rows in (block_rows(folded), step_rows(folded)):
            if rows:
                show_rows(heads, rows, words=WORDS)
        for note in (*folded.notes, *subject.notes):
            say(f"- {note}")
        print(one_line(sentence(folded)))
        say_written(files)
    return {"network": subject.title, "files": [str(file) for file in files], **finite(dict(folded.as_dict()))}


def _say(what: str, done: int, planned: int) -> None:
    """Tell which pass over the images runs: on one line of a terminal, on lines elsewhere."""
    text = one_line(f"pass {done + 1} of at most {planned}: {what}")
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)
