"""The table, the CSV file and the report of an explanation."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import isnan
from typing import Any

from senet.explanation.explanation import Explanation
from senet.explanation.interventions import Change
from senet.explanation.values import BlockExplanation, Statistics
from senet.tables import Table
from senet.text import bullets, code_span, counted, listed, markdown

__all__ = ["as_csv", "as_markdown", "block_table", "facts"]

SPARE = (
    "params", "stuck", "rank / width", "shut", "open", "half", "C", "stage", "p", "bits", "from 1", "varies",
    "class share [95 %]",
)  # fmt: skip
"""Headings of columns that a narrow terminal leaves out, in this order."""
TITLES = {
    "strip": "The blocks in the order of the network, one row each; darker is more.",
    "classes": "Gates of single classes over channels, the mean over all classes in black, and the standard deviation "
    "within a class as a band (the paper's figure).",
    "heatmap": "Mean gate of each class and channel, both sorted so that similar ones are neighbours.",
    "histogram": "How often each value of the gate occurs, by depth.",
    "importance": "What changes when the gates of one block are replaced, with 95 % intervals.",
    "squeeze": "The gate over the normalised squeeze: mean, and the band of 80 % of the gates.",
    "curve": "Accuracy with a share of the channels of each image set to zero.",
}


def facts(explanation: Explanation) -> list[str]:
    """Return what stands beside every statistic about classes: images, classes, chance, accuracy."""
    counts = explanation.images_per_class
    if not counts:
        return [f"{explanation.title}: {counted(explanation.images, 'image')} without labels"]
    each = f"{min(counts)} to {max(counts)}" if min(counts) != max(counts) else f"{counts[0]}"
    lines = [
        f"{explanation.title}: {counted(explanation.images, 'image')} of {counted(len(counts), 'class')}, {each} "
        f"images a class ({listed(explanation.classes, 4)}); top-1 {explanation.top1:.2f} %, chance "
        f"{100 * explanation.chance:.2f} %"
    ]
    if explanation.sample < explanation.images:
        lines.append(f"quantiles, intervals, permutations and regressions: {explanation.sample:,} images at random")
    return lines


def block_table(explanation: Explanation) -> Table:
    """Return the table of the blocks, in the order of the network."""
    heads = ["block", "stage", "C", "class share [95 %]", "p", "varies", "from 1", "open", "shut", "half", "stuck"]
    heads += ["rank / width", "bits", "without: loss [95 %]", "params"]
    rows = [
        [
            block.name or "(the network)",
            block.stage or None,
            block.channels,
            _with_interval(block.class_share, block.class_share_interval),
            _number(block.class_share_p, ".3f"),
            _percent(block.varies),
            _number(block.identity, ".3f"),
            _percent(block.open),
            _percent(block.shut),
            _percent(block.half),
            _percent(block.stuck),
            f"{block.used_rank:.1f} / {block.rank_limit}",
            _number(block.information, ".3f"),
            _loss(block),
            block.parameters,
        ]
        for block in explanation.blocks
    ]
    return Table(heads, rows, spare=SPARE)


def _loss(block: BlockExplanation) -> str:
    one = block.importance.get("identity")
    return "" if one is None else _change(one.loss)


def _with_interval(value: float, interval: tuple[float, float] | None) -> str:
    return _number(value, ".3f") + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _number(value: float, form: str) -> str:
    return "" if isnan(value) else format(value, form)


def _percent(value: float) -> str:
    return "" if isnan(value) else f"{100 * value:.0f} %" if value >= 0.1 or not value else f"{100 * value:.2g} %"


def as_csv(explanation: Explanation) -> str:
    """Return the statistics of all blocks as CSV, one line a block."""
    scalars = [one.name for one in fields(Statistics) if one.type in ("float", "int", float, int)]
    kinds = list(explanation.blocks[0].importance) if explanation.blocks else []
    ends = ("change", "low", "high")
    heads = ["block", "stage", "channels", *scalars, "class_share_low", "class_share_high"]
    heads += [f"{kind}_{measure}_{end}" for kind in kinds for measure in ("loss", "top1") for end in ends]
    rows = []
    for block in explanation.blocks:
        low, high = block.class_share_interval or (None, None)
        effects = [
            value
            for kind in kinds
            for part in (block.importance[kind].loss, block.importance[kind].top1)
            for value in part
        ]
        rows.append(
            [block.name, block.stage, block.channels, *(getattr(block, name) for name in scalars), low, high, *effects]
        )
    return Table(heads, rows).csv(form=".6g")


def as_markdown(explanation: Explanation, found: Mapping[str, Any], figures: Sequence[str]) -> str:
    """Return the report of an explanation.

    Args:
        explanation: what is reported.
        found: the values of its `explain.json`.
        figures: names of the figures beside the report.
    """
    made, data = found["made"], found["data"]
    held = {True: "held-out images", False: "images that the network was trained on", None: "images"}[data["held_out"]]
    conditions, effects = _condition_table(explanation), _effect_table(explanation)
    origin = f"senet {made['senet']}" + (f" at {made['commit']}" if made["commit"] else "") + f", torch {made['torch']}"
    lines = [
        f"# {markdown(found['model']['name'])}: what its gates do",
        "",
        *(markdown(f"{line}.") for line in facts(explanation)),
        f"Measured on {held}{' of ' + markdown(data['name']) if data['name'] else ''}; {markdown(origin)}.",
        f"Made by {code_span(made['command'])}." if made["command"] else "",
        "",
        "## Blocks",
        "",
        block_table(explanation).markdown(),
        "Class share: share of the variance of the gates that the class explains, less its chance level; p by 200 "
        "permutations of the labels. Varies: relative error of the block's output with constant gates. From 1: "
        "distance of the gates from 1. Bits: mutual information of class and gate less its chance level, "
        "mean over channels.",
        "",
        "## Diagnosis",
        "",
        bullets(
            [f"{block.name}: {one.text}" for block in explanation.blocks for one in block.diagnosis], sentences=False
        ),
    ]
    if effects.rows:
        number = next(iter(explanation.blocks[0].importance.values())).images
        lines += ["## Interventions", "", effects.markdown()]
        lines += [_stage_table(explanation).markdown()] if explanation.stages else []
        lines.append(
            f"Paired changes on {number:,} images, with 95 % intervals: normal (loss), Bonett and Price (top-1)."
        )
        lines.append("")
    if conditions.rows:
        lines += ["## Conditions", "", conditions.markdown()]
        lines += [
            "Share of the variance of the gates that each condition explains, less chance (p by permutations).",
            "",
        ]
    for name in figures:
        kind = name.partition(".")[0]
        lines += [f"![{kind}]({name})", "", TITLES[kind], ""]
    return "\n".join(lines) + bullets(explanation.notes)


def _effect_table(explanation: Explanation) -> Table:
    heads = ["block", "gates replaced by", "loss [nats]", "top-1 [points]"]
    words = {"constant": "constants", "identity": "1", "shuffle": "those of another image", "class_mean": "class means"}
    rows = [
        [block.name, words[kind], _change(one.loss), _change(one.top1)]
        for block in explanation.blocks
        for kind, one in block.importance.items()
    ]
    return Table(heads, rows, words={"gates replaced by"})


def _stage_table(explanation: Explanation) -> Table:
    heads = ["stage", "blocks", "constants in all of them: loss [nats]", "top-1 [points]"]
    counts = {stage: sum(block.stage == stage for block in explanation) for stage in explanation.stages}
    return Table(
        heads,
        [
            [str(stage), counts[stage], _change(one.loss), _change(one.top1)]
            for stage, one in explanation.stages.items()
        ],
    )


def _change(value: Change) -> str:
    return f"{value[0]:+.3f} [{value[1]:+.3f}, {value[2]:+.3f}]"


def _condition_table(explanation: Explanation) -> Table:
    names = list(explanation.blocks[0].conditions) if explanation.blocks else []
    rows = []
    for block in explanation.blocks:
        own = [block.conditions[name] for name in names]
        rows.append(
            [
                block.name,
                _number(block.class_share, ".3f"),
                *(f"{_number(one.share, '.3f')} ({_number(one.p, '.3f')})" for one in own),
            ]
        )
    return Table(["block", "class", *names], rows if names else [])
