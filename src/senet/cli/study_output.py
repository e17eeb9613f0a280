"""The end of `compare`, `run` and `report`: the table on the terminal, and the report in a folder of its own."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from senet.cli.printing import print_files, print_json
from senet.errors import StorageError
from senet.text import command_line, counted, one_line

if TYPE_CHECKING:
    from senet.experiments.failed_run import Failed
    from senet.experiments.run import Run
    from senet.experiments.study import Study
    from senet.experiments.summary import Line

__all__ = ["finish", "folder_for_report"]


def folder_for_report(folder: Path, belongs: "Callable[[Run], bool]", *, chosen: bool) -> Path:
    """Return a writable folder for a report, and print where it goes if that is not the expected place.

    Args:
        folder: the folder that the user chose, or the default one.
        belongs: whether a run is part of this comparison.
        chosen: whether the user chose the folder: then it is used even if it holds the report of another comparison.

    Raises:
        StorageError: if the folder cannot be written.
    """
    from senet.reports.report_folder import ensure_free_for_report
    from senet.reports.study_report import free_folder

    free = free_folder(folder, belongs)
    place = folder if chosen else free
    ensure_free_for_report(place)  # before hours of training, not after
    if free != folder and os.environ.get("RANK", "0") == "0":
        held = f"{one_line(folder)} holds the report of another comparison"
        now = "it will be replaced" if chosen else f"this one goes to {one_line(free)}"
        print(one_line(f"senet: {held}; {now}"), file=sys.stderr)
    return place


def finish(
    study: "Study",
    lines: "Sequence[Line]",
    folder: Path,
    *,
    as_json: bool,
    command: str | None = None,
    failed: "Sequence[Failed]" = (),
    others: int = 0,
) -> None:
    """Print the table and write the report; without any result no report is written.

    Args:
        study: the study.
        lines: what is known of its rows.
        folder: the folder of the report.
        as_json: print JSON in place of the table.
        command: the command that trains what is missing; None is this one.
        failed: runs that failed.
        others: number of runs with other settings, which are named if there is no result.

    Raises:
        RunFailed: after everything else, if there are failed runs.
    """
    from senet.experiments.failed_run import failures
    from senet.reports.answer import answer
    from senet.reports.console import show_table
    from senet.reports.study_report import write_lines

    command = command or command_line(sys.argv[1:])
    files, failure = [], None
    if not as_json:
        show_table(study, lines)
    try:
        files = write_lines(study, lines, folder, command=command) if any(line.n for line in lines) else []
    except StorageError as error:  # the numbers took hours, so print them before the error
        if not as_json:
            raise
        failure = error
    if as_json:
        results = {study.run(line.row, seed): found for line in lines for seed, found in line.results.items()}
        print_json(
            {
                "study": study.name,
                "title": study.title,
                **answer(study, lines),
                "files": [str(f) for f in files],
                "results": [results[r].as_dict() for r in study.runs() if r in results],
                "failed": [one.as_dict() for one in failed],
            }
        )
    else:
        print()
        if files:
            print_files(files)
        elif not failed:
            print(one_line(f"no results yet, nothing written; `{command}` trains them"))
            if others:
                print(f"{counted(others, 'run')} with other settings are there: `senet runs` lists them")
    if failure is not None:
        raise failure
    if failed:
        raise failures(failed, len(study.runs()))
