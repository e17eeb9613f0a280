"""`senet compare`: train a network plain and with designs, seed by seed."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from senet.cli.completion import complete_design
from senet.cli.machine import make_setup
from senet.cli.option_groups import unfolded
from senet.cli.options import (
    NETWORK,
    TRAINING,
    DataChoice,
    DataDir,
    Epochs,
    Json,
    Model,
    Output,
    Pretrained,
    Start,
    Words,
)
from senet.cli.printing import say_to_stderr, warn_without_figures
from senet.cli.seeds import Repeats, carry_out, seed_plan
from senet.cli.settings_words import CompareSettings
from senet.cli.study_output import finish, folder_for_report
from senet.cli.train_runs import train_all
from senet.errors import SenetError, UsageError, reason_of
from senet.execution.asked_run import asked_values, check_models, defaults, made_run
from senet.text import file_name

if TYPE_CHECKING:
    from senet.experiments.seed_plan import SeedPlan
    from senet.experiments.setup import Setup
    from senet.experiments.study import Study

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
            help="A design to compare with the plain network, see below; repeat the option for more. Default: "
            "depends on --data.",
        ),
    ] = None,
    data: DataChoice = None,
    data_dir: DataDir = None,
    epochs: Epochs = None,
    train: Annotated[
        str | None,
        typer.Option(
            "--train", metavar="FILE.py:FUNCTION", rich_help_panel=TRAINING,
            help="Your own training function: it takes a network (with --model; otherwise a design) and a seed, and "
            "returns the accuracy in percent.",
        ),
    ] = None,
    *,
    repeats: Repeats,
    settings: CompareSettings,
    output: Output = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Train a network plain and with SE blocks, with the same seeds, and print what the blocks gain and cost.

    Example: `senet compare --data cifar10 --data-dir DIR --model resnet20 --se standard --seeds 3`
    """
    from senet.experiments.study import Row, Study

    plan = seed_plan(**vars(repeats), detect=settings.detect or None)
    if train is not None:
        given = {
            "--weights": weights, "--pretrained": pretrained, "--data": data, "--data-dir": data_dir,
            "--epochs": epochs, "NAME=VALUE": words,
        }  # fmt: skip
        usual = vars(CompareSettings(runs=settings.runs))
        surplus = [name for name, value in given.items() if value]
        if surplus := surplus + [name for name, value in vars(settings).items() if value != usual[name]]:
            raise UsageError(f"--train does its own training; leave out {', '.join(surplus)}.")
        _compare_function(train, model, se, plan, settings, output, as_json=as_json)
        return
    base = asked_values(
        words,
        data=data,
        data_dir=data_dir,
        model=model,
        epochs=epochs,
        weights=weights,
        pretrained=pretrained,
        builder=settings.builder,
    )
    if "se" in base:
        raise UsageError("compare takes designs with --se, e.g. --se standard:reduction=8, not as se.NAME=VALUE.")
    designs = list(dict.fromkeys(["plain", *(se or defaults(base["data"]["name"])[2])]))
    if designs == ["plain"]:
        raise UsageError("--se plain compares the plain network with itself; add a design, e.g. --se standard.")
    rows = [made_run({**base, "se": design}) for design in designs]
    for design, run in zip(designs[1:], rows[1:], strict=True):
        if (first := designs[rows.index(run)]) != design:
            say_to_stderr(f"senet: --se {design} is the same design as {first}; it is trained once", quiet=as_json)
    title = rows[0].data.title
    study = Study(
        name=file_name(f"{title}-{rows[0].model}"),
        title=f"{rows[0].model} on {title}: plain against squeeze-and-excitation",
        rows=tuple(Row(id=design, label=run.design, run=run) for design, run in zip(designs, rows, strict=True)),
        seeds=tuple(range(rows[0].seed, rows[0].seed + SEEDS)),
    )
    study = plan.applied(study)
    check_models(study)
    setup = make_setup(
        settings, data_dir=data_dir, device=settings.device, jobs=settings.jobs, gpus=settings.gpus or None
    )
    _train_and_report(study, plan, settings, setup, output, as_json=as_json)


def _train_and_report(
    study: "Study",
    plan: "SeedPlan",
    settings: CompareSettings,
    setup: "Setup",
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    """Train the runs of a comparison, measure its costs, and print and write what was found."""
    from senet.execution.asked_run import check_images
    from senet.execution.cost_store import costs_if_possible, measured_costs
    from senet.experiments.equal_time import with_equal_time
    from senet.experiments.summary import summarize

    runs = Path(settings.runs)
    say = partial(say_to_stderr, quiet=as_json)
    folder = output or Path("out") / study.name
    check_images(study, runs, setup)
    if settings.equal_time:
        costs = measured_costs(study, runs, setup, again=settings.measure_again, say=say)
        study = with_equal_time(study, costs, fused=setup.fused)
        say(study.notes[-1])
    folder = folder_for_report(folder, plan.belongs(study), chosen=output is not None)
    warn_without_figures()
    train = partial(train_all, runs=runs, setup=setup, quiet=as_json, retry_failed=settings.retry_failed)
    study, results, failed = carry_out(plan, study, train, quiet=as_json)
    again = settings.measure_again and not settings.equal_time
    measured = costs_if_possible(study, runs, setup, again=again, say=say) if settings.cost and results else None
    finish(study, summarize(study, results, costs=measured), folder, as_json=as_json, failed=failed)


def _compare_function(
    train: str,
    model: str | None,
    se: list[str] | None,
    plan: "SeedPlan",
    settings: CompareSettings,
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    """Compare designs with a user-supplied training function; what it has returned is kept in the runs."""
    import hashlib

    from senet.comparison.by_function import by_function
    from senet.networks.building import builder_of
    from senet.networks.stated import source_hash

    function: Any = builder_of(train)

    def call(first: Any, seed: int) -> Any:
        try:
            return function(first, seed)
        except SenetError:
            raise
        except (Exception, SystemExit) as error:
            raise SenetError(
                f"{train} raised {type(error).__name__}: {reason_of(error)}; the values so far are kept, and the "
                "same command continues from there if neither file changes; `senet --debug ...` shows the traceback."
            ) from error

    where = f"{train} {source_hash(train)} {model or ''} {source_hash(model) if model else ''}"
    name = file_name(train.rpartition(":")[2] + (f"-{model}" if model else ""))
    key = hashlib.sha256(where.encode()).hexdigest()[:12]
    folder = output or Path("out") / name
    folder = folder_for_report(folder, lambda run: False, chosen=output is not None)
    warn_without_figures()
    found = by_function(
        call,
        se or ["standard"],
        model=model,
        seeds=plan.seeds or SEEDS,
        margin=plan.margin or 0.5,
        values=Path(settings.runs) / f"{name}-{key}.jsonl",
        plan=plan,
        say=partial(say_to_stderr, quiet=as_json),
    )
    study = replace(found.study, title=f"{train}: {found.study.title}")
    finish(study, found.lines, folder, as_json=as_json)
