"""A benchmark as tables and as sentences on what was measured."""

from typing import TYPE_CHECKING

from senet.tables import Table

if TYPE_CHECKING:
    from senet.speed.measure import Bench

__all__ = ["block_table", "caption", "line_table"]

HEADS = ("variant", "ms", "ratio", "quartiles", "images/s", "saved MB", "peak MB", "of copy bound")


def line_table(bench: "Bench") -> Table:
    """Return a row for each variant."""
    rows = [
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
    return Table(HEADS, rows, spare=("of copy bound", "saved MB", "peak MB", "images/s", "quartiles"))


def block_table(bench: "Bench") -> Table:
    """Return a row for each unit that was timed alone."""
    others = list(bench.blocks[0].ratios)
    rows = [
        [
            block.name,
            "x".join(map(str, block.shape)),
            f"{block.milliseconds:.2f}",
            *[f"{block.ratios[other]:.2f}" for other in others],
        ]
        for block in bench.blocks
    ]
    return Table(["unit", "input", f"{bench.lines[0].name} ms", *others], rows, spare=("input",))


def caption(bench: "Bench") -> str:
    """Return sentences that describe what was measured."""
    size = "x".join(map(str, bench.shape))
    what = "training step (forward and backward)" if bench.mode == "train" else "inference"
    time = "time between CUDA events" if bench.device.startswith("cuda") else "CPU time of the process"
    return (
        f"{bench.model} with {bench.design}, {what}, {size}, {bench.dtype}, {bench.device}, {bench.threads} thread(s): "
        f"medians of {bench.rounds} interleaved rounds of {time}; of the ratios to {bench.lines[0].name!r} in the same "
        f"round the median and the quartiles. A copy moves {bench.copy_gb:.1f} GB/s here; 'of copy bound' is the time "
        "that the inevitable bytes of the first variant would take at that speed, as a share."
    )
