"""`senet insert`: blocks in a network that exists."""

from pathlib import Path
from typing import Annotated

import typer

from senet.cli.options import Builder, ImageSize, Json, NumClasses
from senet.cli.output import print_json
from senet.text import printable

__all__ = ["insert"]


def insert(
    model: Annotated[
        str, typer.Argument(help="A name of `senet models`, of timm or of torchvision, or a folder of a network or run")
    ],
    se: Annotated[
        str, typer.Option("--se", help="A design, e.g. standard:reduction=8; 16-8-4-4 is a ratio for each stage")
    ] = "standard",
    at: Annotated[list[str] | None, typer.Option("--at", help="Units or modules, repeatable: 'layer3.*'")] = None,
    slot: Annotated[str | None, typer.Option("--slot", help="standard, pre, post, identity or inner")] = None,
    reduction: Annotated[int | None, typer.Option("--reduction", "-r", help="Ratio of all blocks")] = None,
    min_channels: Annotated[int, typer.Option("--min-channels", help="Leave narrower maps alone")] = 1,
    size: ImageSize = None,
    weights: Annotated[Path | None, typer.Option("--weights", help="The network's state dict")] = None,
    num_classes: NumClasses = None,
    preserve: Annotated[
        bool, typer.Option("--preserve/--no-preserve", help="Start as the identity: the output stays bit for bit")
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the network with blocks: a folder, or .safetensors")
    ] = None,
    builder: Builder = None,
    as_json: Json = False,
) -> None:
    """Show where blocks go in a network that exists and what they add; with --out write its weights with them.

    Example: `senet insert resnet50 --weights resnet50.pt -r 8 --out resnet50-se.safetensors`
    """
    from senet.cli.insert_body import run_insert

    values, text = run_insert(
        model,
        se,
        at=at,
        slot=slot,
        reduction=reduction,
        min_channels=min_channels,
        size=size,
        weights=weights,
        num_classes=num_classes,
        preserve=preserve,
        out=out,
        builder=builder,
    )
    if as_json:
        print_json(values)
    else:
        print(printable(text))
