"""The tail of a residual unit alone: plain, with an ordinary block, with a fused one; a training step as ratios.

    python benchmarks/tails.py [--rounds 30] [--figure docs/img/tails.png]

One thread, channels last, float32, CPU time, interleaved; medians of the ratios to the plain tail in eager mode.
"""

import argparse
import copy
import platform
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from senet import SqueezeExcite, accelerate
from senet.nn import Residual, chain
from senet.reports.canvas import COLORS, canvas, tidy
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


def draw(rows: list[tuple[str, dict[str, Timing]]], path: Path) -> None:
    with canvas(path, 9.6, 3.9) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1, 2))
        _draw_passes(left)
        _draw_times(right, rows)
        tidy(left, right)


def _draw_passes(axes: Any) -> None:
    bottom = [0] * len(PASSES)
    labels = ("forward, read", "forward, written", "backward, read", "backward, written")
    for number, label in enumerate(labels):
        counts = [passes[number // 2][number % 2] for passes in PASSES.values()]
        names = [name.replace(" ", "\n") for name in PASSES]
        axes.bar(names, counts, bottom=bottom, label=label, color=COLORS[1 + number])
        bottom = [low + count for low, count in zip(bottom, counts, strict=True)]
    axes.set_ylabel("maps moved in a training step")
    axes.set_xlabel("tail of a unit")
    axes.set_ylim(0, 46)
    axes.legend(fontsize=8, loc="upper right", frameon=False)


def _draw_times(axes: Any, rows: list[tuple[str, dict[str, Timing]]]) -> None:
    width = 0.38
    for number, (name, color) in enumerate((("ordinary block", COLORS[2]), ("fused block", COLORS[1]))):
        places = [at + (number - 0.5) * width for at in range(len(rows))]
        ratios = [found[name].ratio(found["plain"]) for _, found in rows]
        axes.bar(places, ratios, width, label=name, color=color)
        for place, ratio in zip(places, ratios, strict=True):
            axes.annotate(f"{ratio:.2f}", (place, ratio), ha="center", va="bottom", fontsize=7)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(rows)), [label.replace(" x ", "\n") for label, _ in rows], fontsize=8)
    axes.set_xlabel("images, channels, positions of a map")
    axes.set_ylabel("time, ratio to the plain tail")
    axes.legend(fontsize=8, frameon=False)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rounds", type=int, default=30)
    words.add_argument("--figure", type=Path)
    asked = words.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    where = f"{date.today().isoformat()}, torch {torch.__version__}, {platform.machine()}"
    print(f"{where}, 1 thread, {asked.rounds} rounds\n")
    print("| map | plain [ms] | ordinary block | quartiles | fused block | quartiles |\n|---|--:|--:|--:|--:|--:|")
    rows = []
    for n, channels, side in SIZES:
        found = measure(n, channels, side, rounds=asked.rounds)
        rows.append((f"{n} x {channels} x {side}²", found))
        plain, cells = found["plain"], []
        for name in ("ordinary block", "fused block"):
            low, high = found[name].spread(plain)
            cells += [f"{found[name].ratio(plain):.2f}", f"{low:.2f}-{high:.2f}"]
        print(f"| {rows[-1][0]} | {1000 * plain.median:.2f} | " + " | ".join(cells) + " |", flush=True)
    if asked.figure:
        draw(rows, asked.figure)


if __name__ == "__main__":
    main()
