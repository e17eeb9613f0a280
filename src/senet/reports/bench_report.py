"""The report of a benchmark: tables, figure, command and machine."""

import json
import platform
from datetime import date
from pathlib import Path

from senet.experiments.environment import environment
from senet.files.atomic import write_text
from senet.processor import processor_name
from senet.reports.canvas import beside, canvas, no_figures, short
from senet.reports.console import say, show
from senet.reports.looks import BLACK, looks
from senet.speed import Bench
from senet.speed.bench_table import block_table, caption, line_table
from senet.text import code_span
from senet.text import markdown as as_markdown

__all__ = ["markdown", "save", "show_bench"]


def show_bench(bench: Bench) -> None:
    """Print the table, that of single units if they were timed, and the caption."""
    show(line_table(bench))
    if bench.blocks:
        show(block_table(bench))
    say(caption(bench))


def markdown(bench: Bench, *, command: str) -> str:
    """Return the report as Markdown: command, machine, tables."""
    where = environment(bench.device)
    processor = processor_name() or platform.machine()
    made = f"{date.today().isoformat()}, senet {where.commit or where.senet}, torch {where.torch}, {processor}"
    parts = [
        code_span(command),
        as_markdown(f"{made}."),
        as_markdown(caption(bench)),
        line_table(bench).markdown().rstrip(),
    ]
    if bench.blocks:
        parts += ["Residual units alone, as ratios:", block_table(bench).markdown().rstrip()]
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
    lines, saved = bench.lines, [line.saved_mb for line in bench.lines if line.saved_mb is not None]
    size = "x".join(map(str, bench.shape))
    title = f"{bench.model}, {bench.mode}, {size}, {bench.dtype}, {bench.device}"
    panels = 2 if len(saved) == len(lines) else 1
    caption = "points: medians of the ratios round by round, bars: their quartiles"
    with canvas(path, 5 * panels, 1.3 + 0.34 * len(lines), title=title, caption=caption) as figure:
        times, *more = figure.subplots(1, panels, squeeze=False, sharey=True)[0]
        times.axvline(1, color=BLACK, linewidth=0.8)
        for at, (line, look) in enumerate(zip(lines, looks([line.name for line in lines]), strict=True)):
            error = [[max(0.0, line.ratio - line.low)], [max(0.0, line.high - line.ratio)]]
            times.errorbar(line.ratio, at, xerr=error, **look.point)
            beside(times, at, f"{line.ratio:.2f}")
            for axes in more:
                axes.plot(saved[at], at, **look.point)
                beside(axes, at, f"{saved[at]:,.0f}")
        times.set_yticks(range(len(lines)), [short(line.name) for line in lines])
        times.set_ylim(len(lines) - 0.5, -0.5)
        times.set_xlabel(f"time of a step, ratio to {short(lines[0].name)}")
        for axes in more:
            axes.set_xlabel("kept for the backward pass [MB]")
            axes.set_xlim(left=0)
