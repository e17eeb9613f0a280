"""The command `senet bench`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import Progress

from senet.errors import UsageError
from senet.experiments import decoding
from senet.files.atomic import ensure_writable
from senet.reports.console import console, say, say_written, show_rows
from senet.text import command_line
from senet.training.allocator import keep_memory

__all__ = ["measure"]


def measure(
    model: str,
    se: str,
    shape: str,
    options: Mapping[str, Any],
    *,
    threads: int,
    channels_last: bool,
    blocks: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure, show, save.

    Raises:
        SpecError: if a name is not known, or the network does not accept the shape.
        UsageError: if the shape is no shape, or the device is not there.
    """
    import torch

    from senet.reports.bench_report import HEADS, block_cells, caption, cells, save
    from senet.speed import bench

    sizes = _sizes(shape)
    if options["device"].startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {options['device']}: torch sees no GPU here; use --device cpu.")
    if output is not None:
        ensure_writable(output)
    torch.set_num_threads(max(1, threads))
    keep_memory()  # as in training
    with Progress(console=console(), disable=as_json or not sys.stdout.isatty(), transient=True) as bars:
        bar = bars.add_task("rounds", total=options["rounds"])
        found = bench(
            model,
            se=decoding.se_designs(se) or None,
            shape=sizes,
            channels_last=channels_last,
            blocks=blocks,
            watch=lambda number: bars.update(bar, completed=number),
            **options,
        )
    # saved before it is shown: a pipe that closes early must not cost minutes of measuring
    written = [] if output is None else save(found, output, command=command_line(sys.argv[1:]))
    if as_json:
        print(json.dumps(found.as_dict(), indent=1))
        return
    show_rows(HEADS, cells(found))
    if found.blocks:
        head, *rows = block_cells(found)
        show_rows(head, rows)
    say(caption(found))
    say_written(written)


def _sizes(shape: str) -> tuple[int, int, int, int]:
    try:
        n, c, h, w = (int(part) for part in shape.split(","))
    except ValueError:
        raise UsageError(f"--shape {shape}: give four numbers, images,channels,height,width: 8,3,224,224.") from None
    return n, c, h, w
