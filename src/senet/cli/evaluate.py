"""`senet eval`: exact counts over a test set."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from senet.cli.asked import asked_values
from senet.cli.ending import print_json
from senet.cli.machine import make_setup
from senet.cli.options import BadImage, DataChoice, DataDir, Device, Download, Json, Model, Words, Workers
from senet.errors import UsageError

__all__ = ["evaluate"]


def evaluate(
    folder: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Folder of a finished run")] = None,
    words: Words = None,
    model: Model = None,
    se: Annotated[str, typer.Option("--se", help="Design of the blocks of --model")] = "plain",
    weights: Annotated[Path | None, typer.Option("--weights", help="Weights of --model: .safetensors or .pt")] = None,
    origin: Annotated[
        str, typer.Option("--origin", help="Whose names the weights have: senet, timm, torchvision, kth, ...")
    ] = "senet",
    data: DataChoice = "cifar10",
    data_dir: DataDir = None,
    device: Device = "auto",
    workers: Workers = 0,
    as_json: Json = False,
    download: Download = False,
    on_bad_image: BadImage = "error",
) -> None:
    """Test a finished run, or a network with weights from elsewhere: exact counts over the whole test set.

    Example: `senet eval --model kth_resnet52 --se standard:reduction=8 --weights FILE --origin kth data.normalize=kth`
    """
    from senet import decode
    from senet.lab.testing import evaluate_run, evaluate_weights, read_run

    words = list(words or [])
    if folder is not None and "=" in str(folder):
        words.insert(0, str(folder))
        folder = None
    setup = make_setup(data_dir, device, 1, workers, download=download, on_bad_image=on_bad_image)
    if folder is not None:
        if words or model is not None or weights is not None:
            raise UsageError("a run says itself what it is: give its folder alone, or --model with --weights.")
        planned = read_run(folder)
        measured, what = evaluate_run(folder, setup), str(folder)
    elif model is not None and weights is not None:
        planned = decode.run(asked_values(words, data=data, model=model, se=se))
        measured, what = evaluate_weights(planned, weights, setup, origin=origin), f"{model} {planned.design}"
    else:
        raise UsageError("give the folder of a run, or --model with --weights.")
    if as_json:
        print_json(
            {
                "what": what,
                "run": planned.id if folder is not None else None,
                "model": planned.model,
                "se": planned.design,
                "data": asdict(planned.data),
                "weights": str(weights or folder),
                "correct": measured.correct,
                "total": measured.total,
                "accuracy": measured.accuracy,
                "correct5": measured.correct5,
                "loss": measured.loss,
                "confusion": measured.confusion,
            }
        )
    else:
        print(
            f"{what}: {measured.correct:,} of {measured.total:,} right, top-1 {measured.accuracy:.2f} %, "
            f"top-5 {100 * measured.correct5 / measured.total:.2f} %, loss {measured.loss:.5f}"
        )
