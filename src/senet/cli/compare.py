"""`senet compare`: train a network plain and with designs, seed by seed."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from senet.cli.completion import complete_design
from senet.cli.machine import make_setup
from senet.cli.option_groups import unfolded
from senet.cli.options import (
    NETWORK,
    Batch,
    DataChoice,
    DataDir,
    Device,
    Epochs,
    Gpus,
    Jobs,
    Json,
    Model,
    Output,
    Preset,
    Pretrained,
    Rate,
    Runs,
    Start,
    Words,
)
from senet.cli.printing import warn_without_figures
from senet.cli.seeds import PlannedSeeds
from senet.cli.settings_words import StudySettings
from senet.cli.study_output import finish, folder_for_report
from senet.cli.train_runs import train_all
from senet.errors import UsageError
from senet.execution.asked_run import asked_values, check_models, defaults, made_run
from senet.text import file_name

__all__ = ["compare"]

SEEDS = 5
"""Default number of repetitions of every design."""


@unfolded
def compare(
    words: Words = None,
    model: Model = None,
    weights: Start = None,
    pretrained: Pretrained = False,
    se: Annotated[
        list[str] | None,
        typer.Option(
            "--se", metavar="DESIGN ...", rich_help_panel=NETWORK, autocompletion=complete_design,
            help="A design to compare with the plain network, see below; repeat it for more. Default: by data set.",
        ),
    ] = None,
    data: DataChoice = None,
    data_dir: DataDir = None,
    recipe: Preset = None,
    epochs: Epochs = None,
    batch_size: Batch = None,
    lr: Rate = None,
    *,
    repeats: PlannedSeeds,
    device: Device = "auto",
    jobs: Jobs = 0,
    gpus: Gpus = None,
    settings: StudySettings,
    runs: Runs = Path("runs"),
    output: Output = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Train a network plain and with SE blocks, with the same seeds, and print what the blocks gain and cost.

    Example: `senet compare --data cifar10 --data-dir DIR --model resnet20 --se standard --seeds 3`
    """
    from senet.experiments.study import Row, Study

    plan = repeats.plan()
    base = asked_values(
        words,
        data=data,
        data_dir=data_dir,
        model=model,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        recipe=recipe,
        weights=weights,
        pretrained=pretrained,
    )
    if "se" in base:
        raise UsageError("compare takes designs with --se, e.g. --se standard:reduction=8, not as se.NAME=VALUE.")
    designs = list(dict.fromkeys(["plain", *(se or defaults(base["data"]["name"])[2])]))
    if designs == ["plain"]:
        raise UsageError("--se plain compares the plain network with itself; add a design, e.g. --se standard.")
    rows = [made_run({**base, "se": design}) for design in designs]
    title = rows[0].data.title
    study = Study(
        name=file_name(f"{title}-{rows[0].model}"),
        title=f"{rows[0].model} on {title}: plain against squeeze-and-excitation",
        rows=tuple(Row(id=design, label=run.design, run=run) for design, run in zip(designs, rows, strict=True)),
        seeds=tuple(range(rows[0].seed, rows[0].seed + SEEDS)),
    )
    study = plan.applied(study)
    check_models(study)
    setup = make_setup(settings, data_dir=data_dir, device=device, jobs=jobs, gpus=gpus)
    folder = folder_for_report(output or Path("out") / study.name, plan.belongs(study), chosen=output is not None)
    warn_without_figures()
    train = partial(train_all, runs=runs, setup=setup, quiet=as_json, retry_failed=settings.retry_failed)
    study, results, failed = plan.carry_out(study, train, quiet=as_json)
    finish(study, results, folder, as_json=as_json, failed=failed)
