"""`senet train`: one network."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from senet.bounds import check_flags
from senet.cli.bundle import unfolded
from senet.cli.machine import Machine
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
from senet.cli.output import say_result
from senet.cli.values import asked_values
from senet.cli.with_progress import train_one

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
        say_result(result, output or runs / planned.id, as_json=as_json)
