"""What the designs of a study cost, as a table beside that of their accuracies."""

from collections.abc import Sequence
from typing import Any

from senet.experiments.measured_cost import MeasuredCosts, Ratio, TreatedCost
from senet.experiments.summary import Line
from senet.tables import Table
from senet.text import counted

__all__ = ["cost_heading", "cost_notes", "cost_table", "cost_values", "is_reference", "networks"]

_LARGE = 100
HEADS = ("design", "network", "training step", "inference", "saved")
"""Headings; the first two columns are words."""


def cost_heading(lines: Sequence[Line]) -> str:
    """Return the title of the table."""
    baseline = next(line.row.label for line in lines if is_reference(line))
    return f"Cost, as ratios to {baseline} with the same treatment [quartiles]"


def cost_table(lines: Sequence[Line]) -> Table | None:
    """Return the table, with two rows for each network, as it is and optimized; None where no costs are known.

    The cells of the baseline hold times and bytes, all others ratios.
    """
    rows = [
        [line.row.label, name, *_cells(cost, baseline=is_reference(line))]
        for line in networks(lines)
        if line.cost is not None
        for name, cost in (("ordinary", line.cost.ordinary), ("optimized", line.cost.optimized))
    ]
    return Table(HEADS, rows, words=HEADS[:2], spare=("saved",)) if rows else None


def cost_notes(lines: Sequence[Line]) -> list[str]:
    """Return how the costs were measured."""
    costs = _costs(lines)
    if costs is None:
        return []
    how, where = costs.conditions, costs.conditions.environment
    shape = "x".join(map(str, how.shape))
    clock = "time between CUDA events" if where.device.startswith("cuda") else "CPU time of one thread"
    together = f", mean of {how.latency_repeats} in a row" if how.latency_repeats > 1 else ""
    return [
        f"training step: {counted(how.batch, 'image')} of {shape}, forward, backward and optimizer; inference: one "
        f"image{together}; medians and quartiles of the ratios within a round, over "
        f"{how.step_rounds} and {how.latency_rounds} interleaved rounds; {clock}, {where.device}, {how.processor}, "
        f"torch {where.torch}",
        "optimized: senet.accelerate for the step, senet.optimize for the inference, of the baseline too; saved: what "
        "a step keeps for the backward pass",
        *costs.notes,
    ]


def cost_values(cost: TreatedCost) -> dict[str, Any]:
    """Return a cost as JSON has it: times [ms], memory [MB], ratios [1]."""
    return {
        "step": vars(cost.step),
        "step_ms": cost.step_ms,
        "latency": vars(cost.latency),
        "latency_ms": cost.latency_ms,
        "saved": cost.saved,
        "saved_mb": cost.saved_mb,
    }


def _costs(lines: Sequence[Line]) -> MeasuredCosts | None:
    return next((line.costs for line in lines if line.cost is not None), None)


def networks(lines: Sequence[Line]) -> list[Line]:
    """Return the first row of each network whose cost is known."""
    first: dict[str, Line] = {}
    for line in lines:
        if line.cost is not None:
            first.setdefault(line.cost.network, line)
    return list(first.values())


def is_reference(line: Line) -> bool:
    """Return whether the network of a row is the one that costs are compared with."""
    return line.cost is not None and line.costs is not None and line.cost.network == line.costs.baseline


def _cells(cost: TreatedCost, *, baseline: bool) -> list[str]:
    if baseline:
        return [f"{cost.step_ms:.2f} ms", f"{cost.latency_ms:.2f} ms", f"{cost.saved_mb:.1f} MB"]
    saved = f"{cost.saved:.2f}" if cost.saved < _LARGE else f"{cost.saved_mb:.1f} MB"  # a frozen baseline keeps nothing
    return [_ratio(cost.step), _ratio(cost.latency), saved]


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
