"""`senet report`: a study from the results that exist."""

from pathlib import Path
from typing import Annotated

import typer

from senet.cli.options import Json, Output, Quick, Runs, Words
from senet.cli.output import finish
from senet.cli.report_folder import place_of_report
from senet.cli.values import asked_study, report_folder
from senet.text import command_line

__all__ = ["report"]


def report(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY", help="A TOML file of studies/")],
    words: Words = None,
    quick: Quick = False,
    runs: Runs = Path("runs"),
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Print a study from the results that exist, beside the paper's numbers; what is missing is shown as missing."""
    from senet.execution.store import Store

    study = asked_study(study_file, words, quick=quick)
    folder = report_folder(study_file, study)
    store = Store(runs, lists=(folder / "results.jsonl",))
    results = {run: found for run in study.runs() if (found := store.get(run)) is not None}
    folder_of_data = " --data-dir DIR" if any(run.data.name != "digits" for run in study.runs()) else ""
    made = command_line(["run", str(study_file), *(words or []), *["--quick"] * quick]) + folder_of_data
    if results:
        belongs = set(study.runs()).__contains__
        folder = place_of_report(output or folder, belongs, said=output is not None or not words)
    finish(study, results, output or folder, as_json=as_json, command=made)
