"""What stands at the end of a command: a table and a report, a sentence, or one JSON document."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from senet.lab.failed import Failed
    from senet.lab.result import Result
    from senet.lab.run import Run
    from senet.lab.study import Study

__all__ = ["command_line", "finish", "print_json", "say_result", "show_study"]


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
    from senet.lab.failed import failures
    from senet.lab.report import write_report

    command = command or command_line()
    files = write_report(study, results, folder, command=command) if results else []
    if as_json:
        print_json(
            {
                "study": study.name,
                "files": [str(f) for f in files],
                "results": [results[r].as_dict() for r in study.runs() if r in results],
                "failed": [one.as_dict() for one in failed],
            }
        )
    else:
        show_study(study, results)
        if files:
            print("\nwritten: " + ", ".join(str(f) for f in files))
        elif not failed:
            print(f"\nno results yet, nothing written; `{command}` trains them")
    if failed:
        raise failures(failed, len(study.runs()))


def show_study(study: "Study", results: "Mapping[Run, Result]") -> None:
    """Print the table of a study from the results that exist."""
    from senet.console import show_table
    from senet.lab.summary import summarize

    show_table(study, summarize(study, results))


def say_result(result: "Result", folder: Path, *, as_json: bool) -> None:
    """Print what one run came to."""
    if as_json:
        print_json(result.as_dict())
        return
    print(
        f"{result.run.model} {result.run.design}: {result.last.correct:,} of {result.total:,} right, "
        f"top-1 {result.accuracy:.2f} % after {len(result.curve)} epochs, {result.images_per_second:,.0f} images/s"
    )
    print(f"weights, curve and result: {folder}")


def print_json(values: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(values, indent=2, default=str))


def command_line() -> str:
    """Give the command as a reader elsewhere could type it: places of this machine are not theirs."""
    return " ".join(["senet", *map(_anywhere, sys.argv[1:])])


def _anywhere(word: str) -> str:
    return "DIR" if Path(word).is_absolute() else word
