"""The study of a file with the changes of a command, and where its report is."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from senet.cli.study_files import reports_beside

if TYPE_CHECKING:
    from senet.experiments.run import Run
    from senet.experiments.study import Study

__all__ = ["asked_study", "report_folder", "stated_run"]


def asked_study(path: Path, words: list[str] | None, *, quick: bool) -> "Study":
    """Read a study with changes."""
    from senet.experiments import decoding
    from senet.experiments.study import read_study

    study = read_study(path, changes=decoding.assign(words or []), quick=quick)
    return replace(study, rows=tuple(replace(row, run=stated_run(row.run)) for row in study.rows))


def stated_run(run: "Run") -> "Run":
    """Fill in a run of a study; one of the zoo with fresh weights is complete, and needs no torch."""
    from senet.reports.zoo_costs import COSTS

    if run.model in COSTS and not run.weights and not run.at:
        return run
    from senet.networks.stated import stated

    return stated(run)


def report_folder(study_file: Path, study: "Study") -> Path:
    """Return the folder of a study's committed report."""
    return reports_beside(study_file) / study.name
