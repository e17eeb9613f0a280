"""`senet train`: one network."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from senet.bounds import check_flags
from senet.cli.machine import Machine
from senet.cli.option_groups import unfolded
from senet.cli.options import (
    Batch,
    DataChoice,
    Epochs,
    Fused,
    Json,
    Model,
    Preset,
    Rate,
    Runs,
    TensorBoard,
)
from senet.cli.printing import print_json
from senet.cli.run_settings import asked_values
from senet.cli.train_runs import train_one
from senet.text import counted, one_line

if TYPE_CHECKING:
    from senet.experiments.result import Result

__all__ = ["train"]


@unfolded
def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study file whose [base] is trained, and changes: se.reduction=8", metavar="[STUDY] [NAME=VALUE]..."
        ),
    ] = None,
    data: DataChoice = None,
    model: Model = None,
    se: Annotated[str | None, typer.Option("--se", help="A design, e.g. slow_both:reduction=8; default plain")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of weights, order and augmentation")] = None,
    epochs: Epochs = None,
    batch_size: Batch = None,
    lr: Rate = None,
    recipe: Preset = None,
    *,
    machine: Machine,
    fused: Fused = True,
    runs: Runs = Path("runs"),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of this run; default RUNS/ID")] = None,
    save_every: Annotated[float, typer.Option("--save-every", help="Seconds between two checkpoints")] = 60.0,
    as_json: Json = False,
    tensorboard: TensorBoard = False,
) -> None:
    """Train one network, or go on where it was stopped. Under `torchrun` (`-m senet train`) processes share it."""
    from senet import settings
    from senet.experiments import decoding

    check_flags(save_every=save_every)
    words = list(words or [])
    base: Any = {}
    if words and "=" not in words[0]:
        path = Path(words.pop(0))
        base = settings.toml_file(path).get("base", {})
    asked = asked_values(
        words,
        data=data,
        data_dir=machine.data_dir,
        model=model,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        recipe=recipe,
        base=base,
    )
    if se is not None:
        asked = {**asked, "se": se}
    if seed is not None:
        asked["seed"] = seed
    planned = decoding.run(asked)
    setup = machine.setup(fused=fused, tensorboard=tensorboard)
    result = train_one(planned, output or runs / planned.id, setup, save_every=save_every, quiet=as_json)
    if os.environ.get("RANK", "0") == "0":
        _print(result, output or runs / planned.id, as_json=as_json)


def _print(result: "Result", folder: Path, *, as_json: bool) -> None:
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
    print(f"weights, curve and result: {one_line(folder)}")
