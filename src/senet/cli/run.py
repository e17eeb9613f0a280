"""`senet run`: train what a study lacks."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from senet.cli.machine import Machines
from senet.cli.option_groups import unfolded
from senet.cli.options import (
    Fused,
    Json,
    Output,
    Quick,
    RetryFailed,
    Runs,
    TensorBoard,
    Words,
)
from senet.cli.printing import warn_without_figures
from senet.cli.run_settings import asked_study, check_models, report_folder
from senet.cli.seeds import PlannedSeeds
from senet.cli.study_output import finish, folder_for_report
from senet.cli.train_runs import train_all

__all__ = ["run"]


@unfolded
def run(
    study_file: Annotated[
        Path, typer.Argument(metavar="STUDY", help="A TOML file, e.g. studies/variations_table1_quick.toml")
    ],
    words: Words = None,
    quick: Quick = False,
    *,
    repeats: PlannedSeeds,
    machine: Machines,
    fused: Fused = True,
    runs: Runs = Path("runs"),
    retry_failed: RetryFailed = False,
    output: Output = None,
    as_json: Json = False,
    tensorboard: TensorBoard = False,
) -> None:
    """Train what a study lacks and report it. Start it again after a stop: it goes on where it was.

    Several commands on one folder of runs (--runs), also on several machines, share the work.
    """
    plan = repeats.plan()
    study = plan.applied(asked_study(study_file, words, quick=quick))
    check_models(study)
    setup = machine.setup(fused=fused, tensorboard=tensorboard)
    committed = report_folder(study_file, study)
    own = output is not None or not (words or plan.changes)
    folder = folder_for_report(output or committed, plan.belongs(study), chosen=own)
    warn_without_figures()
    lists = (committed / "results.jsonl",)
    train = partial(train_all, runs=runs, setup=setup, quiet=as_json, lists=lists, retry_failed=retry_failed)
    study, results, failed = plan.carry_out(study, train, quiet=as_json)
    finish(study, results, folder, as_json=as_json, failed=failed)
