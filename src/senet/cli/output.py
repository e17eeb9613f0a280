"""What stands at the end of a command: a table and a report, a sentence, or one JSON document."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senet.errors import StorageError
from senet.text import command_line, counted, one_line

if TYPE_CHECKING:
    from senet.experiments.failed_run import Failed
    from senet.experiments.result import Result
    from senet.experiments.run import Run
    from senet.experiments.study import Study

__all__ = ["finish", "print_json", "say_files", "say_result", "show_study", "warn_without_figures"]


def finish(
    study: "Study",
    results: "dict[Run, Result]",
    folder: Path,
    *,
    as_json: bool,
    command: str | None = None,
    failed: "Sequence[Failed]" = (),
) -> None:
    """Print the table and write the report; without any result nothing is written: missing numbers help nobody.

    Args:
        study: what was wanted.
        results: what there is of it.
        folder: of table, figure and report.
        as_json: print a document in place of the table.
        command: what made the results, None for this command.
        failed: runs that failed by themselves.

    Raises:
        RunFailed: behind all else, if there are such runs.
    """
    from senet.experiments.failed_run import failures
    from senet.experiments.summary import summarize
    from senet.reports.answer import answer
    from senet.reports.study_report import write_report

    command = command or command_line(sys.argv[1:])
    files, failure = [], None
    if not as_json:
        show_study(study, results)
    try:
        files = write_report(study, results, folder, command=command) if results else []
    except StorageError as error:  # the numbers cost hours, and are shown all the same
        if not as_json:
            raise
        failure = error
    if as_json:
        print_json(
            {
                "study": study.name,
                "title": study.title,
                **answer(study, summarize(study, results)),
                "files": [str(f) for f in files],
                "results": [results[r].as_dict() for r in study.runs() if r in results],
                "failed": [one.as_dict() for one in failed],
            }
        )
    else:
        print()
        if files:
            say_files(files)
        elif not failed:
            print(one_line(f"no results yet, nothing written; `{command}` trains them"))
    if failure is not None:
        raise failure
    if failed:
        raise failures(failed, len(study.runs()))


def say_files(files: "Sequence[Path]") -> None:
    """Print what was written, and why a figure is missing where none can be drawn."""
    from senet.reports.console import say_written

    say_written(files)
    warn_without_figures("no figure was drawn")


def warn_without_figures(what: str = "there will be no figure") -> None:
    """Report that no figure can be drawn here: before hours of training, and at their end."""
    from senet.reports.canvas import no_figures

    if (missing := no_figures()) is not None and os.environ.get("RANK", "0") == "0":
        print(one_line(f"senet: {what}: {missing}"), file=sys.stderr)


def show_study(study: "Study", results: "Mapping[Run, Result]") -> None:
    """Print the table of a study from the results that exist."""
    from senet.experiments.summary import summarize
    from senet.reports.console import show_table

    show_table(study, summarize(study, results))


def say_result(result: "Result", folder: Path, *, as_json: bool) -> None:
    """Print what one run came to."""
    if as_json:
        print_json(result.as_dict())
        return
    print(
        one_line(
            f"{result.run.model} {result.run.design}: {result.last.correct:,} of {result.total:,} right, top-1 "
            f"{result.accuracy:.2f} % after {counted(len(result.curve), 'epoch')}, "
            f"{result.images_per_second:,.0f} images/s"
        )
    )
    print(f"weights, curve and result: {one_line(folder)}")


def print_json(values: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(values, indent=2, default=str))
