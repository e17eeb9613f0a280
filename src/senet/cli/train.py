"""`senet train`: train one network."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from senet.cli.completion import complete_design, complete_setting
from senet.cli.machine import make_setup
from senet.cli.option_groups import unfolded
from senet.cli.options import (
    NETWORK,
    OUTPUT,
    TRAINING,
    Batch,
    DataChoice,
    DataDir,
    Device,
    Epochs,
    Json,
    Model,
    Preset,
    Pretrained,
    Rate,
    Runs,
    Start,
)
from senet.cli.printing import print_json
from senet.cli.settings_words import TrainSettings
from senet.cli.train_runs import train_one
from senet.execution.asked_run import asked_values, made_run
from senet.text import counted, one_line

if TYPE_CHECKING:
    from senet.experiments.result import Result

__all__ = ["train"]


@unfolded
def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STUDY | NAME=VALUE", autocompletion=complete_setting,
            help="A study file, whose [base] is trained, and settings by dotted name, e.g. se.reduction=8 workers=4.",
        ),
    ] = None,
    model: Model = None,
    weights: Start = None,
    pretrained: Pretrained = False,
    se: Annotated[
        str | None,
        typer.Option(
            "--se", metavar="DESIGN", rich_help_panel=NETWORK, autocompletion=complete_design,
            help="The design of the blocks, see below. Default: plain.",
        ),
    ] = None,
    data: DataChoice = None,
    data_dir: DataDir = None,
    recipe: Preset = None,
    epochs: Epochs = None,
    batch_size: Batch = None,
    lr: Rate = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="N", rich_help_panel=TRAINING,
            help="Seed of the weights, the order of the images and augmentation. Default: 0.",
        ),
    ] = None,
    device: Device = "auto",
    *,
    settings: TrainSettings,
    runs: Runs = Path("runs"),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", rich_help_panel=OUTPUT, help="The folder of this run. Default: RUNS/ID."
        ),
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Train one network, or resume it where it was stopped.

    Under `torchrun` (`-m senet train`) several processes share the training.
    """
    from senet.settings import toml_file

    words = list(words or [])
    base: Any = {}
    if words and "=" not in words[0]:
        path = Path(words.pop(0))
        base = toml_file(path).get("base", {})
    asked = asked_values(
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
        base=base,
    )
    if se is not None:
        asked = {**asked, "se": se}
    if seed is not None:
        asked["seed"] = seed
    planned = made_run(asked)
    setup = make_setup(settings, data_dir=data_dir, device=device)
    result = train_one(planned, output or runs / planned.id, setup, quiet=as_json)
    if os.environ.get("RANK", "0") == "0":
        _print(result, output or runs / planned.id, as_json=as_json)


def _print(result: "Result", folder: Path, *, as_json: bool) -> None:
    from senet.experiments.result import NETWORK_NOTE
    from senet.reports.console import say_written

    if as_json:
        print_json(result.as_dict())
        return
    print(
        one_line(
            f"{result.run.model} {result.run.design}: {result.last.correct:,} of {result.total:,} correct, top-1 "
            f"{result.accuracy:.2f} % after {counted(len(result.curve), 'epoch')}, "
            f"{result.images_per_second:,.0f} images/s"
        )
    )
    for note in result.notes:
        if note.startswith(NETWORK_NOTE):
            print(one_line(f"- {note}"))
    say_written([folder])
