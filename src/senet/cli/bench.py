"""`senet bench`: blocks against the plain twin, timed."""

from pathlib import Path
from typing import Annotated

import typer

from senet.cli.options import Design, Json, Network

__all__ = ["bench"]


def bench(
    model: Network,
    se: Design = "standard",
    mode: Annotated[str, typer.Option("--mode", help="train (forward and backward) or infer")] = "train",
    shape: Annotated[str, typer.Option("--shape", help="Input: images, channels, height, width")] = "8,3,224,224",
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", help="plain or se, alone or with accelerated, optimized, compiled; repeat"),
    ] = None,
    timm: Annotated[str | None, typer.Option("--timm", help="Also this network of timm, e.g. seresnet50")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1")] = "cpu",
    dtype: Annotated[str, typer.Option("--dtype", help="float32 or bfloat16")] = "float32",
    threads: Annotated[int, typer.Option("--threads", help="Of one operator; 1 measures best")] = 1,
    rounds: Annotated[int, typer.Option("--rounds", help="How often each variant is timed")] = 20,
    channels_last: Annotated[bool, typer.Option(help="Memory format")] = True,
    blocks: Annotated[bool, typer.Option("--blocks", help="Time every residual unit alone, too")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for bench.md, .json and .png")] = None,
    as_json: Json = False,
) -> None:
    """Time a network with blocks against its plain twin, paired, as ratios."""
    from senet.cli.bench_body import measure

    measure(
        model,
        se,
        shape,
        {"mode": mode, "names": variant or (), "timm": timm, "device": device, "dtype": dtype, "rounds": rounds},
        threads=threads,
        channels_last=channels_last,
        blocks=blocks,
        output=output,
        as_json=as_json,
    )
