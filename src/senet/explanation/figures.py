"""The figures of an explanation: the network as a strip, the paper's class curves, heatmaps, histograms, importance."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil, isnan, nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from senet.errors import SpecError, unknown
from senet.explanation.explanation import Explanation
from senet.explanation.interventions import REPLACED
from senet.explanation.values import BlockExplanation
from senet.reports.canvas import canvas, legend, short
from senet.reports.looks import BLACK, COLORS, GREY, MARKERS

__all__ = ["FIGURES", "paper_blocks"]

PANEL = 2.1  # height of a panel [inch]
CLASSES = 4  # of the class curves
MOST_CELLS = 256  # channels of a heatmap
PANELS = 8  # blocks of the squeeze figure and the heatmaps
STRIP: Mapping[str, Callable[[BlockExplanation], float]] = {
    "class share": lambda block: block.class_share,
    "varies": lambda block: block.varies,
    "from 1": lambda block: block.identity,
    "open": lambda block: block.open,
    "shut": lambda block: block.shut,
    "half": lambda block: block.half,
    "stuck": lambda block: block.stuck,
    "selectivity": lambda block: block.selectivity.gates,
    "bits": lambda block: block.information,
    "brightness": lambda block: block.conditions["brightness"].share if "brightness" in block.conditions else nan,
    "loss without": lambda block: block.importance["identity"].loss[0] if "identity" in block.importance else nan,
}  # fmt: skip


def _strip(explanation: Explanation, path: Path, *, classes: Sequence[str] = (), channels: int = 50) -> bool:
    """Draw a row for each block and a column for each statistic, coloured within the column."""
    columns = {head: [value(block) for block in explanation] for head, value in STRIP.items()}
    columns = {head: values for head, values in columns.items() if not all(map(isnan, values))}
    rows = len(explanation)
    with canvas(path, 1.6 + 0.75 * len(columns), 1.3 + 0.22 * rows, title=f"{explanation.title}: its blocks") as figure:
        axes = figure.subplots()
        table = torch.tensor(list(columns.values()), dtype=torch.float64).T
        low, high = table.nan_to_num(nan=torch.inf).amin(0).clamp(max=0), table.nan_to_num(nan=-torch.inf).amax(0)
        shade = (table - low) / (high - low).clamp(min=1e-9)
        axes.imshow(shade.numpy(), cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
        for row in range(rows):
            for column in range(len(columns)):
                value = float(table[row, column])
                text = "" if isnan(value) else f"{value:.2f}"
                color = "white" if float(shade[row, column]) > 0.7 else BLACK
                axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
        axes.set_xticks(range(len(columns)), list(columns), fontsize=7)
        axes.set_yticks(range(rows), [short(block.name, most=34) for block in explanation], fontsize=7)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.grid(visible=False)
    return True


def paper_blocks(explanation: Explanation) -> list[BlockExplanation]:
    """Return the blocks of the paper's figures: the last one of each stage, and all of the last stage."""
    stages = sorted({block.stage for block in explanation})
    last = [[block for block in explanation if block.stage == stage] for stage in stages]
    return [blocks[-1] for blocks in last[:-1]] + last[-1]


def _classes(explanation: Explanation, path: Path, *, classes: Sequence[str] = (), channels: int = 50) -> bool:
    """Draw the paper's figure: gates of classes over channels, the mean over all, and the band within a class."""
    if not explanation.images_per_class:
        return False
    rows = _rows(explanation, classes)
    blocks = paper_blocks(explanation)
    high = ceil(len(blocks) / 2)
    caption = (
        f"Mean gate of {len(rows)} of {len(explanation.classes)} classes and of all (black), over at most {channels} "
        "channels sampled uniformly; bands: standard deviation within the class. Share: of the variance that the class "
        "explains, less chance."
    )
    with canvas(path, 9, 1.2 + PANEL * high, title=f"{explanation.title}: gates by class", caption=caption) as figure:
        grid = figure.subplots(high, 2, squeeze=False)
        handles: list[Any] = []
        for axes, block in zip(grid.flat, blocks, strict=False):
            pick = torch.linspace(0, block.channels - 1, min(channels, block.channels)).round().long()
            handles = []
            for number, row in enumerate(rows):
                mean, std = block.class_mean[row, pick].numpy(), block.class_std[row, pick].numpy()
                color = COLORS[number % len(COLORS)]
                axes.fill_between(range(len(pick)), mean - std, mean + std, color=color, alpha=0.12, linewidth=0)
                handles += axes.plot(range(len(pick)), mean, color=color, linewidth=1)
            handles += axes.plot(range(len(pick)), block.by_channel["mean"][pick].numpy(), color=BLACK, linewidth=1.2)
            axes.set_title(f"{short(block.name)}: share {block.class_share:.2f}", fontsize=8)
            axes.set_xlim(0, max(1, len(pick) - 1))
            axes.set_ylabel("gate")
        for axes in grid.flat[len(blocks) :]:
            axes.set_axis_off()
        for axes in grid[-1]:
            axes.set_xlabel("channel, sampled uniformly")
        legend(figure, handles, [*(explanation.classes[row] for row in rows), "all classes"], columns=5)
    return True


def _rows(explanation: Explanation, classes: Sequence[str]) -> list[int]:
    """Return the rows of the named classes, or of those whose gates differ most from the mean in the last block.

    Raises:
        SpecError: if a class is not known.
    """
    for name in classes:
        if name not in explanation.classes:
            raise unknown("class", name, explanation.classes, error=SpecError)
    if classes:
        return [explanation.classes.index(name) for name in classes]
    best = max(explanation.blocks, key=lambda block: -1.0 if isnan(block.class_share) else block.class_share)
    apart = (best.class_mean - best.class_mean.nanmean(0)).square().nansum(1)
    return sorted(apart.sort(descending=True, stable=True).indices[:CLASSES].tolist())


def _heatmap(explanation: Explanation, path: Path, *, classes: Sequence[str] = (), channels: int = 50) -> bool:
    """Draw class x channel for the last block of each stage, with similar classes and channels beside each other."""
    if not explanation.images_per_class:
        return False
    blocks = _last_of_stages(explanation)
    names = explanation.classes
    each = max(1.4, min(3.5, 0.5 + 0.12 * len(names)))
    caption = "Mean gate of a class less the mean over classes; each block has its own colours."
    with canvas(
        path, 9, 0.9 + (each + 0.4) * len(blocks), title=f"{explanation.title}: classes and channels", caption=caption
    ) as figure:
        for axes, block in zip(figure.subplots(len(blocks), 1, squeeze=False).flat, blocks, strict=True):
            means = block.class_mean.nan_to_num(nan=0.0)
            pick = torch.linspace(0, block.channels - 1, min(MOST_CELLS, block.channels)).round().long()
            apart = (means - means.mean(0))[:, pick]
            order, columns = _similar(apart), _similar(apart.T)
            most = float(apart.abs().max()) or 1.0
            image = axes.imshow(
                apart[order][:, columns].numpy(),
                cmap="RdBu_r",
                vmin=-most,
                vmax=most,
                aspect="auto",
                interpolation="nearest",
            )
            axes.grid(visible=False)
            axes.set_title(f"{short(block.name)}: {len(pick)} of {block.channels} channels", fontsize=8)
            if len(names) <= 30:
                axes.set_yticks(range(len(names)), [short(names[row], most=18) for row in order], fontsize=6)
            axes.set_xticks([])
            figure.colorbar(image, ax=axes, shrink=0.8)
    return True


def _similar(rows: Tensor) -> list[int]:
    """Return an order of rows in which similar ones are neighbours: the leaves of an average-linkage tree."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(rows) < 3 or float(rows.abs().max()) == 0:
        return list(range(len(rows)))
    return [int(leaf) for leaf in leaves_list(linkage(rows.numpy(), "average"))]


def _histogram(explanation: Explanation, path: Path, *, classes: Sequence[str] = (), channels: int = 50) -> bool:
    """Draw how often each value of the gate occurs, one row a block."""
    ends = [block.histogram["edges"] for block in explanation]
    low, high = min(edges[0] for edges in ends), max(edges[-1] for edges in ends)
    with canvas(
        path, 7, 1.4 + 0.34 * len(explanation), title=f"{explanation.title}: values of the gates by depth"
    ) as figure:
        axes = figure.subplots()
        for number, block in enumerate(explanation):
            counts = torch.tensor(block.histogram["counts"], dtype=torch.float64)
            shown = 0.9 * (counts / counts.max().clamp(min=1)).sqrt().numpy()
            axes.stairs(
                number + 0.45 - shown, block.histogram["edges"], baseline=number + 0.45, fill=True, color=COLORS[0]
            )
        axes.set_yticks(range(len(explanation)), [short(block.name, most=34) for block in explanation], fontsize=7)
        axes.set_ylim(len(explanation) - 0.5, -0.6)
        axes.set_xlim(low, high)
        axes.set_xlabel("gate (height: square root of the frequency, each block by itself)")
    return True


def _importance(explanation: Explanation, path: Path, *, classes: Sequence[str] = (), channels: int = 50) -> bool:
    """Draw the change of the loss under each intervention, beside parameters and time."""
    kinds = [kind for kind in REPLACED if all(kind in block.importance for block in explanation)]
    if not kinds:
        return False
    rows = len(explanation)
    number = explanation.blocks[0].importance[kinds[0]].images
    caption = f"Paired change on {number:,} images when the gates of one block are replaced; bars: 95 % intervals."
    with canvas(
        path, 9, 1.6 + 0.42 * rows, title=f"{explanation.title}: what the gates are worth", caption=caption
    ) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        handles = []
        for place, kind in enumerate(kinds):
            found = [block.importance[kind].loss for block in explanation]
            value = torch.tensor(found, dtype=torch.float64).numpy()
            at = [row + (place - (len(kinds) - 1) / 2) * 0.18 for row in range(rows)]
            bars = [value[:, 0] - value[:, 1], value[:, 2] - value[:, 0]]
            handles.append(
                left.errorbar(
                    value[:, 0],
                    at,
                    xerr=bars,
                    linestyle="none",
                    marker=MARKERS[place],
                    color=COLORS[place],
                    markersize=4,
                    capsize=2,
                    linewidth=1,
                )
            )
        left.axvline(0, color=GREY, linewidth=0.8)
        left.set_xlabel("change of the loss [nats]")
        left.set_xscale("symlog", linthresh=0.01)
        left.xaxis.set_major_formatter("{x:g}")  # no formulas
        for offset, color, values in (
            (-0.2, GREY, _percent([block.parameters for block in explanation])),
            (0.2, COLORS[4], [block.time_percent for block in explanation]),
        ):
            handles.append(right.barh([row + offset for row in range(rows)], values, height=0.38, color=color))
        right.set_xlabel("[%]")
        left.set_yticks(range(rows), [short(block.name, most=30) for block in explanation], fontsize=7)
        left.set_ylim(rows - 0.4, -0.6)
        words = {
            "constant": "constants",
            "identity": "1",
            "shuffle": "gates of another image",
            "class_mean": "class means",
        }
        legend(
            figure,
            handles,
            [*(words[kind] for kind in kinds), "parameters [% of all blocks]", "time [% of the network]"],
            columns=3,
        )
    return True


def _percent(values: Sequence[int]) -> list[float]:
    return [100 * value / max(1, sum(values)) for value in values]


def _squeeze(explanation: Explanation, path: Path, *, classes: Sequence[str] = (), channels: int = 50) -> bool:
    """Draw the gate over the normalised squeeze for the last block of each stage."""
    caption = (
        "Mean gate over images and channels, by the squeeze in standard deviations of its channel; band: 80 % of the "
        "gates."
    )
    blocks, title = _last_of_stages(explanation), f"{explanation.title}: gate and squeeze"
    with _panels(path, blocks, "squeeze [sd of its channel]", "gate", title=title, caption=caption) as (_, panels):
        for axes, block in panels:
            curve = block.squeeze_curve
            axes.fill_between(curve["x"], curve["low"], curve["high"], color=COLORS[0], alpha=0.2, linewidth=0)
            axes.plot(curve["x"], curve["mean"], color=COLORS[0])
    return True


def _curve(explanation: Explanation, path: Path, *, classes: Sequence[str] = (), channels: int = 50) -> bool:
    """Draw the accuracy with channels set to zero in rising, falling and random order of the gates."""
    blocks = [block for block in paper_blocks(explanation) if block.gate_curve is not None][-PANELS:]
    if not blocks:
        return False
    title = f"{explanation.title}: is the gate an importance?"
    with _panels(path, blocks, "channels set to zero [%]", "top-1 [%]", title=title) as (figure, panels):
        handles: list[Any] = []
        for axes, block in panels:
            curve = block.gate_curve
            assert curve is not None
            handles = []
            for number, values in enumerate((curve.rising, curve.falling, curve.random)):
                x, y = (0.0, *(100 * share for share in curve.shares)), (explanation.top1, *values)
                handles += axes.plot(x, y, color=COLORS[number], marker=MARKERS[number], markersize=4)
        legend(figure, handles, ["smallest gates first", "largest gates first", "random order"])
    return True


def _last_of_stages(explanation: Explanation) -> list[BlockExplanation]:
    stages = sorted({block.stage for block in explanation})[-PANELS:]
    return [[block for block in explanation if block.stage == stage][-1] for stage in stages]


@contextmanager
def _panels(
    path: Path, blocks: Sequence[BlockExplanation], x: str, y: str, **texts: str
) -> Iterator[tuple[Any, list[tuple[Any, BlockExplanation]]]]:
    """Open a figure with one panel for each block, in rows of at most four that share the axis y."""
    wide = min(4, len(blocks))
    high = ceil(len(blocks) / wide)
    with canvas(path, 2.4 * wide + 0.6, 1.2 + PANEL * high, **texts) as figure:
        grid = figure.subplots(high, wide, squeeze=False, sharey=True)
        for axes in grid.flat[len(blocks) :]:
            axes.set_axis_off()
        for axes in grid[:, 0]:
            axes.set_ylabel(y)
        for axes, block in zip(grid.flat, blocks, strict=False):
            axes.set_title(short(block.name, most=28), fontsize=8)
            axes.set_xlabel(x)
        yield figure, list(zip(grid.flat, blocks, strict=False))


Draw = Callable[..., bool]
FIGURES: Mapping[str, Draw] = {
    "strip": _strip,
    "classes": _classes,
    "heatmap": _heatmap,
    "histogram": _histogram,
    "importance": _importance,
    "squeeze": _squeeze,
    "curve": _curve,
}
"""The figures by name: functions of an explanation and a path that return whether there was something to draw."""
