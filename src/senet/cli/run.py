"""`senet run`: train the missing runs of a study."""

from functools import partial
from pathlib import Path

from senet.cli.machine import make_setup
from senet.cli.option_groups import unfolded
from senet.cli.options import DataDir, Device, Gpus, Jobs, Json, Output, Quick, Runs, Study, Words
from senet.cli.printing import warn_without_figures
from senet.cli.run_settings import asked_study, report_folder
from senet.cli.seeds import PlannedSeeds, carry_out
from senet.cli.settings_words import StudySettings
from senet.cli.study_output import finish, folder_for_report
from senet.cli.train_runs import train_all
from senet.execution.asked_run import check_models

__all__ = ["run"]


@unfolded
def run(
    study_file: Study,
    words: Words = None,
    quick: Quick = False,
    data_dir: DataDir = None,
    *,
    repeats: PlannedSeeds,
    device: Device = "auto",
    jobs: Jobs = 0,
    gpus: Gpus = None,
    settings: StudySettings,
    runs: Runs = Path("runs"),
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Train the missing runs of a study, and report it. Start it again after a stop: it resumes.

    Several commands on one folder of runs (--runs), also on several machines, share the work.
    """
    from senet.experiments.summary import summarize

    plan = repeats.plan()
    study = plan.applied(asked_study(study_file, words, quick=quick))
    check_models(study)
    setup = make_setup(settings, data_dir=data_dir, device=device, jobs=jobs, gpus=gpus)
    committed = report_folder(study_file, study)
    own = output is not None or not (words or plan.changes)
    folder = folder_for_report(output or committed, plan.belongs(study), chosen=own)
    warn_without_figures()
    lists = (committed / "results.jsonl",)
    train = partial(train_all, runs=runs, setup=setup, quiet=as_json, lists=lists, retry_failed=settings.retry_failed)
    study, results, failed = carry_out(plan, study, train, quiet=as_json)
    finish(study, summarize(study, results), folder, as_json=as_json, failed=failed)
