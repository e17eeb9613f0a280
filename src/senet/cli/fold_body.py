"""The body of `senet fold`: progress, tables, the last sentence."""

from dataclasses import dataclass
from math import isinf
from pathlib import Path
from typing import Any

from senet.cli.folding import finite, prepare, write_folded
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.files.atomic import ensure_writable
from senet.reports.console import Passing, say, say_written, show_rows
from senet.reports.fold_report import again, block_rows, remarks, sentence, step_rows
from senet.surgery import fold
from senet.text import one_line

__all__ = ["Asked", "fold_command"]

WORDS = {"replaced", "constants went to", ""}  # columns of words
SPARE = ("kMAC", "sd", "time", "params", "C", "gate")  # columns that a narrow terminal leaves out first


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
    class_map: Path | None,
    builder: str | None,
    statistics: int,
    command: str,
) -> dict[str, Any]:
    """Fold a network, show how it went, write the files.

    Args:
        name: as `senet.cli.folding.prepare` takes it, with the other arguments of that name.
        run: likewise.
        setup: device and paths.
        asked: bounds and order.
        folder: where the files go.
        weights: likewise.
        origin: likewise.
        normalize: likewise.
        class_map: likewise.
        builder: likewise.
        statistics: likewise.
        command: what was typed.

    Returns:
        The report as JSON has it.
    """
    ensure_writable(folder)  # before minutes of measuring, not after
    subject = prepare(
        name, run, setup,
        weights=weights, origin=origin, normalize=normalize, class_map=class_map, statistics=statistics,
        builder=builder,
    )  # fmt: skip
    with Passing(quiet=asked.quiet) as passing:
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
            watch=passing.watch,
        )
    files = write_folded(subject, folded, folder, command=command)
    if not asked.quiet:
        for heads, rows in (block_rows(folded), step_rows(folded)):
            if rows:
                show_rows(heads, rows, words=WORDS, spare=SPARE)
        for note in (*remarks(folded), *subject.notes):
            say(f"- {note}")
        print(one_line(sentence(folded)))
        say_written(files)
        if not folded.dry_run:
            print("load it again in Python:")
            for line in again(folded, subject.title, folder).splitlines():
                print(one_line(line))
    return {"network": subject.title, "files": [str(file) for file in files], **finite(dict(folded.as_dict()))}
