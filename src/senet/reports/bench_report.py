"""The report of a benchmark: tables, figure, command and machine."""

import json
import platform
from datetime import date
from pathlib import Path

from senet.experiments.environment import environment
from senet.files.atomic import write_text
from senet.reports.canvas import COLORS, GREY, canvas, no_figures, short, tidy
from senet.reports.console import say, show_rows
from senet.speed import Bench
from senet.text import code_span, markdown_table
from senet.text import markdown as as_markdown

__all__ = ["block_cells", "cells", "markdown", "save", "show_bench"]

HEADS = ("variant", "ms", "ratio", "quartiles", "images/s", "saved MB", "peak MB", "of copy bound")


def cells(bench: Bench) -> list[list[str]]:
    """Return the rows of the table, whose headings are `HEADS`."""
    return [
        [
            line.name,
            f"{line.milliseconds:.1f}",
            f"{line.ratio:.3f}",
            f"{line.low:.3f}-{line.high:.3f}",
            f"{line.images_per_second:.1f}",
            "" if line.saved_mb is None else f"{line.saved_mb:.1f}",
            "" if line.peak_mb is None else f"{line.peak_mb:.0f}",
            f"{100 * line.bound:.0f} %",
        ]
        for line in bench.lines
    ]


def block_cells(bench: Bench) -> list[list[str]]:
    """Return the rows of the table of units, with its headings first."""
    if not bench.blocks:
        return []
    others = list(bench.blocks[0].ratios)
    head = ["unit", "input", f"{bench.lines[0].name} ms", *others]
    return [
        head,
        *[
            [
                block.name,
                "x".join(map(str, block.shape)),
                f"{block.milliseconds:.2f}",
                *[f"{block.ratios[other]:.2f}" for other in others],
            ]
            for block in bench.blocks
        ],
    ]


def caption(bench: Bench) -> str:
    """Return sentences that describe what was measured."""
    size = "x".join(map(str, bench.shape))
    what = "training step (forward and backward)" if bench.mode == "train" else "inference"
    time = "time between CUDA events" if bench.device.startswith("cuda") else "CPU time of the process"
    return (
        f"{bench.model} with {bench.design}, {what}, {size}, {bench.dtype}, {bench.device}, {bench.threads} thread(s): "
        f"medians of {bench.rounds} interleaved rounds of {time}; of the ratios to {bench.lines[0].name!r} in the same "
        f"round the median and the quartiles. A copy moves {bench.copy_gb:.1f} GB/s here; the last column is the time "
        "that the inevitable "
        "bytes of the first variant would take at that speed, as a share."
    )


def show_bench(bench: Bench) -> None:
    """Print the table, that of single units if they were timed, and the caption."""
    show_rows(HEADS, cells(bench))
    if bench.blocks:
        head, *rows = block_cells(bench)
        show_rows(head, rows)
    say(caption(bench))


def markdown(bench: Bench, *, command: str) -> str:
    """Return the report as Markdown: command, machine, tables."""
    where = environment(bench.device)
    made = f"{date.today().isoformat()}, senet {where.commit or where.senet}, torch {where.torch}, {_processor()}"
    parts = [
        code_span(command),
        as_markdown(f"{made}."),
        as_markdown(caption(bench)),
        markdown_table(HEADS, cells(bench)).rstrip(),
    ]
    if bench.blocks:
        parts.append("Residual units alone, as ratios:")
        heads, *rows = block_cells(bench)
        parts.append(markdown_table(heads, rows).rstrip())
    return "\n\n".join(parts) + "\n"


def save(bench: Bench, folder: Path, *, command: str) -> list[Path]:
    """Write `bench.md`, `bench.json` and, if matplotlib is installed, `bench.png`; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "bench.md": markdown(bench, command=command),
        "bench.json": json.dumps({"command": command, **bench.as_dict()}, indent=1) + "\n",
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    written = [folder / name for name in texts]
    if no_figures():
        return written
    draw(bench, folder / "bench.png")
    return [*written, folder / "bench.png"]


def draw(bench: Bench, path: Path) -> None:
    """Draw the ratios with their quartiles, and the bytes kept for the backward pass.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    names = [short(line.name) for line in bench.lines]
    saved = [line.saved_mb for line in bench.lines]
    panels = 1 if None in saved else 2
    ours = [COLORS[1] if line.name.startswith("se") else COLORS[2] for line in bench.lines]
    colors = [GREY if line.name.startswith("plain") else color for line, color in zip(bench.lines, ours, strict=True)]
    ratios = [line.ratio for line in bench.lines]
    errors = [
        [max(0.0, line.ratio - line.low) for line in bench.lines],
        [max(0.0, line.high - line.ratio) for line in bench.lines],
    ]
    with canvas(path, 4.6 * panels, 0.9 + 0.42 * len(names)) as figure:
        times, *more = figure.subplots(1, panels, squeeze=False, sharey=True)[0]
        times.barh(names, ratios, xerr=errors, color=colors, error_kw={"elinewidth": 1, "capsize": 2})
        times.axvline(1, color="black", linewidth=0.8)
        times.invert_yaxis()
        times.set_xlabel(f"time of a step, ratio to {names[0]}")
        for at, line in enumerate(bench.lines):
            times.annotate(f"{line.ratio:.2f}", (0.02, at), va="center", color="white", fontsize=9)
        for axes in more:
            axes.barh(names, [value or 0.0 for value in saved], color=colors)
            axes.set_xlabel("kept for the backward pass [MB]")
        size = "x".join(map(str, bench.shape))
        figure.suptitle(f"{short(bench.model)}, {bench.mode}, {size}, {bench.dtype}, {bench.device}", fontsize=10)
        tidy(times, *more)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
