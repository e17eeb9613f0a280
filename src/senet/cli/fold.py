"""`senet fold`: blocks whose gates are constants."""

import sys
from math import isinf
from pathlib import Path
from typing import Annotated

import typer

from senet.cli.machine import make_setup
from senet.cli.options import (
    BadImage,
    Builder,
    ClassMap,
    DataChoice,
    DataDir,
    Device,
    Json,
    Normalization,
    Words,
    Workers,
)
from senet.cli.printing import print_json, warn_without_figures
from senet.cli.run_settings import asked_values
from senet.errors import UsageError
from senet.text import command_line

__all__ = ["fold"]


def fold(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A name of `senet models`, of timm or of torchvision, a folder of save_pretrained, or a run",
        ),
    ],
    words: Words = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights: .safetensors or .pt; folders have their own")
    ] = None,
    origin: Annotated[
        str, typer.Option("--origin", help="Whose names the weights of a network of ours have")
    ] = "senet",
    se: Annotated[str, typer.Option("--se", help="Design of the blocks of a network of ours")] = "standard",
    data: DataChoice = None,
    data_dir: DataDir = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Largest loss of top-1 [percentage points]; inf for none")
    ] = 0.5,
    measured: Annotated[
        bool, typer.Option("--measured", help="Compare the loss as measured, not the end of its 95 % interval")
    ] = False,
    blocks: Annotated[int | None, typer.Option("--blocks", help="Remove at most so many")] = None,
    per: Annotated[str, typer.Option("--per", help="Count a block's harm per: block, params, macs, time")] = "block",
    at: Annotated[str, typer.Option("--at", help="Only blocks with such names, e.g. 'layer4.*'")] = "*",
    statistics: Annotated[int, typer.Option("--statistics", help="Training images for gates and order")] = 1000,
    normalize: Normalization = "auto",
    class_map: ClassMap = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Draw the whole curve and change nothing")] = False,
    builder: Builder = None,
    device: Device = "auto",
    workers: Workers = 0,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of network, table, figure")] = Path("out/fold"),
    as_json: Json = False,
    on_bad_image: BadImage = "error",
) -> None:
    """Remove the SE blocks whose gates hardly depend on the image: their constants go into the layers beside.

    Example: `senet fold timm:tf_mobilenetv3_small_100 --weights FILE --data-dir PHOTOS --tolerance 0.5`
    """
    from senet.experiments import decoding
    from senet.files.atomic import ensure_writable
    from senet.networks.loaded import named
    from senet.reports.console import Passing
    from senet.reports.fold_files import finite, write_fold
    from senet.reports.fold_report import show_fold
    from senet.surgery import fold as fold_blocks
    from senet.training.opened_network import open_network

    run = None
    if not (Path(model) / "run.json").exists():
        found = named(model)
        network, design = (found.name, se) if found.library == "senet" else ("resnet8", "plain")  # only the data counts
        run = decoding.run(asked_values(words, data=data, data_dir=data_dir, model=network, se=design))
    elif words or weights is not None:
        raise UsageError(f"{model} is a run and has its own weights and settings; leave out --weights and NAME=VALUE.")
    setup = make_setup(data_dir, device, 1, workers, on_bad_image=on_bad_image)
    warn_without_figures()
    ensure_writable(output)  # before minutes of measuring, not after
    opened = open_network(
        model, run, setup,
        weights=weights, origin=origin, normalize=normalize, class_map=class_map, statistics=statistics,
        builder=builder,
    )  # fmt: skip
    with Passing(quiet=as_json) as passing:
        folded = fold_blocks(
            opened.model,
            opened.statistics,
            test=opened.test,
            tolerance=None if isinf(tolerance) else tolerance,
            sure=not measured,
            blocks=blocks,
            per=per,
            at=at,
            dry_run=dry_run,
            watch=passing.watch,
        )
    files = write_fold(opened, folded, output, command=command_line(sys.argv[1:]))
    if as_json:
        print_json({"network": opened.title, "files": [str(file) for file in files], **finite(folded.as_dict())})
    else:
        show_fold(folded, opened.title, opened.notes, files, output)
