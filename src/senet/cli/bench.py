"""`senet bench`: time blocks against the plain network."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from senet.cli.machine import device_named
from senet.cli.options import MACHINE, NETWORK, OUTPUT, Builder, Design, Json, Network
from senet.cli.printing import print_json
from senet.cli.shapes import parse_shape
from senet.errors import UsageError
from senet.text import command_line

if TYPE_CHECKING:
    from senet.known_names import Dtypes, Modes

__all__ = ["bench"]

TIMING = "Timing"  # panel of the help


def bench(
    model: Network,
    se: Design = "standard",
    builder: Builder = None,
    timm: Annotated[
        str | None,
        typer.Option(
            "--timm", metavar="NAME", rich_help_panel=NETWORK, help="Time this network of timm, too, e.g. seresnet50."
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            "--variant", metavar="NAME ...", rich_help_panel=TIMING,
            help="plain or se, alone or with accelerated, optimized, compiled; repeat the option for more. Default: "
            "depends on --mode.",
        ),
    ] = None,
    mode: Annotated[
        str,
        typer.Option("--mode", metavar="NAME", rich_help_panel=TIMING, help="train (forward and backward) or infer."),
    ] = "train",
    shape: Annotated[
        str,
        typer.Option(
            "--shape", metavar="N,C,H,W", rich_help_panel=TIMING, help="Input: images, channels, height, width."
        ),
    ] = "8,3,224,224",
    dtype: Annotated[
        str, typer.Option("--dtype", metavar="NAME", rich_help_panel=TIMING, help="float32 or bfloat16.")
    ] = "float32",
    channels_last: Annotated[
        bool, typer.Option(rich_help_panel=TIMING, help="Memory format of input and weights.")
    ] = True,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", rich_help_panel=TIMING, help="How often each variant is timed.")
    ] = 20,
    blocks: Annotated[
        bool, typer.Option("--blocks", rich_help_panel=TIMING, help="Time every residual unit alone, too.")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", rich_help_panel=MACHINE, help="cpu, cuda, or cuda:1.")
    ] = "cpu",
    threads: Annotated[
        int,
        typer.Option(
            "--threads", metavar="N", rich_help_panel=MACHINE, help="Threads of torch; with one, times vary least."
        ),
    ] = 1,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", rich_help_panel=OUTPUT,
            help="The folder of bench.md, bench.json and bench.png. Default: nothing is written.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Time a network with blocks against the same network without, in interleaved rounds, as ratios.

    Example: `senet bench timm:resnet18 --mode infer --variant plain --variant se`
    """
    import torch
    from rich.progress import Progress

    from senet.experiments import decoding
    from senet.files.atomic import ensure_writable
    from senet.reports.bench_report import save, show_bench
    from senet.reports.console import console, say_written
    from senet.speed import bench as measure
    from senet.training.allocator import keep_memory

    sizes = parse_shape(shape)
    if len(sizes) != 4:
        raise UsageError(f"--shape {shape} is not a batch of images; write N,C,H,W, e.g. 8,3,224,224.")
    if device.startswith("cuda"):
        device = device_named(device)
    if output is not None:
        ensure_writable(output)
    torch.set_num_threads(max(1, threads))
    keep_memory()  # as in training
    with Progress(console=console(), disable=as_json or not sys.stdout.isatty(), transient=True) as bars:
        bar = bars.add_task("rounds", total=rounds)
        found = measure(
            model,
            se=decoding.se_designs(se),
            shape=sizes,
            mode=cast("Modes", mode),
            names=variant or (),
            builder=builder,
            timm=timm,
            device=device,
            dtype=cast("Dtypes", dtype),
            rounds=rounds,
            channels_last=channels_last,
            blocks=blocks,
            watch=lambda number: bars.update(bar, completed=number),
        )
    # saved before it is shown: a pipe that closes early must not cost minutes of measuring
    written = [] if output is None else save(found, output, command=command_line(sys.argv[1:]))
    if as_json:
        print_json(found.as_dict())
    else:
        show_bench(found)
        say_written(written)
