"""The tail of a residual unit alone: plain, with an ordinary block, with a fused one; a training step as ratios.

    python benchmarks/tails.py [--rounds 30] [--figure docs/img/tails.png] [--redraw]

One thread, channels last, float32, CPU time, interleaved; medians of the ratios to the plain tail in eager mode.
"""

import argparse
import copy
import platform
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from senet import SqueezeExcite, accelerate
from senet.nn import Residual, chain
from senet.reports.canvas import canvas, legend
from senet.reports.looks import BLACK, COLORS
from senet.speed.interleave import Timing, interleave
from senet.training.allocator import keep_memory

SIZES = (
    (8, 256, 56),
    (8, 512, 28),
    (8, 1024, 14),
    (8, 2048, 7),
    (128, 16, 32),
    (128, 32, 16),
    (128, 64, 8),
    (8, 64, 8),
)
PASSES = {  # maps that are read and written: forward, backward; counted by hand in docs/fast.md
    "plain": ((5, 3), (6, 2)),
    "ordinary block": ((7, 4), (12, 6)),
    "fused block": ((3, 1), (5, 2)),
}


BLOCKS = ("ordinary block", "fused block")


def tail(channels: int, *, block: bool) -> Residual:
    gates = {"standard": SqueezeExcite(channels)} if block else None
    return Residual(chain(norm=nn.BatchNorm2d(channels)), act=nn.ReLU(), gates=gates)


def step(unit: nn.Module, x: Tensor, dy: Tensor) -> Callable[[], None]:
    def run() -> None:
        unit.zero_grad()
        unit(x).backward(dy)
        x.grad = None

    return run


def measure(n: int, channels: int, side: int, *, rounds: int) -> dict[str, Timing]:
    layout = torch.channels_last
    x, dy = (torch.randn(n, channels, side, side).contiguous(memory_format=layout) for _ in range(2))
    x.requires_grad_()
    ordinary = tail(channels, block=True).to(memory_format=layout)
    fused = copy.deepcopy(ordinary)
    accelerate(fused)
    units = {"plain": tail(channels, block=False), "ordinary block": ordinary, "fused block": fused}
    return interleave({name: step(unit, x, dy) for name, unit in units.items()}, rounds=rounds)


def draw(rows: list[tuple[str, float, float]], path: Path) -> None:
    """Draw the maps that move, and times of tails as ratios to the plain one.

    Args:
        rows: a map, and the ratios with an ordinary block and with a fused one.
        path: `.png`, `.svg` or `.pdf`.
    """
    caption = (
        "left: counted by hand, docs/fast.md; right: medians of ratios of CPU time to the plain tail in eager mode"
    )
    with canvas(path, 11, 4.6, title="The tail of a residual unit, a training step", caption=caption) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1, 2))
        bars = [*_draw_passes(left), *_draw_times(right, rows)]
        legend(figure, bars, ["forward, read", "forward, written", "backward, read", "backward, written", *BLOCKS])


def _draw_passes(axes: Any) -> list[Any]:
    bars, bottom = [], [0] * len(PASSES)
    names = [name.replace(" ", "\n") for name in PASSES]
    for number, (shade, hatch) in enumerate((("#555555", ""), ("#555555", "//"), ("#bbbbbb", ""), ("#bbbbbb", "\\\\"))):
        counts = [passes[number // 2][number % 2] for passes in PASSES.values()]
        bars.append(axes.bar(names, counts, bottom=bottom, color=shade, hatch=hatch, edgecolor="white", linewidth=0))
        bottom = [low + count for low, count in zip(bottom, counts, strict=True)]
    axes.set(ylabel="maps moved", xlabel="tail of a unit", title="memory traffic")
    return bars


def _draw_times(axes: Any, rows: list[tuple[str, float, float]]) -> list[Any]:
    width, bars = 0.38, []
    for number, (color, hatch) in enumerate(((COLORS[1], ""), (COLORS[0], "//"))):
        places = [at + (number - 0.5) * width for at in range(len(rows))]
        ratios = [row[1 + number] for row in rows]
        bars.append(axes.bar(places, ratios, width, color=color, hatch=hatch, edgecolor="white", linewidth=0))
        for place, ratio in zip(places, ratios, strict=True):
            axes.annotate(f"{ratio:.2f}", (place, ratio), ha="center", va="bottom", fontsize=7)
    axes.axhline(1, color=BLACK, linewidth=0.8)
    axes.set_xticks(range(len(rows)), [row[0].replace(" x ", "\n") for row in rows])
    axes.set(xlabel="images, channels, positions of a map", ylabel="time, ratio to the plain tail", title="time")
    return bars


def committed() -> list[tuple[str, float, float]]:
    """Return the rows of the table in RESULTS.md."""
    number = r"([\d.]+)"
    row = rf"^\| (\d+ x \d+ x \d+²) \| {number} \| {number} \| [\d.-]+ \| {number} \|"
    text = (Path(__file__).parent / "RESULTS.md").read_text("utf-8")
    return [(label, float(mine), float(fused)) for label, _, mine, fused in re.findall(row, text, flags=re.MULTILINE)]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rounds", type=int, default=30)
    words.add_argument("--figure", type=Path)
    words.add_argument("--redraw", action="store_true", help="draw the numbers of RESULTS.md, measure nothing")
    asked = words.parse_args()
    if asked.redraw:
        draw(committed(), asked.figure or Path("docs/img/tails.png"))
        return
    torch.set_num_threads(1)
    keep_memory()
    where = f"{date.today().isoformat()}, torch {torch.__version__}, {platform.machine()}"
    print(f"{where}, 1 thread, {asked.rounds} rounds\n")
    print("| map | plain [ms] | ordinary block | quartiles | fused block | quartiles |\n|---|--:|--:|--:|--:|--:|")
    rows = []
    for n, channels, side in SIZES:
        found = measure(n, channels, side, rounds=asked.rounds)
        plain, cells = found["plain"], []
        for name in BLOCKS:
            low, high = found[name].spread(plain)
            cells += [f"{found[name].ratio(plain):.2f}", f"{low:.2f}-{high:.2f}"]
        rows.append((f"{n} x {channels} x {side}²", found[BLOCKS[0]].ratio(plain), found[BLOCKS[1]].ratio(plain)))
        print(f"| {rows[-1][0]} | {1000 * plain.median:.2f} | " + " | ".join(cells) + " |", flush=True)
    if asked.figure:
        draw(rows, asked.figure)


if __name__ == "__main__":
    main()
