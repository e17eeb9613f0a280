"""An explanation as the values of `explain.json` (schema 1). NaN and infinity become null."""

from dataclasses import asdict, fields
from typing import Any

from torch import Tensor

from senet.explanation.explanation import Explanation
from senet.explanation.extremes import Few
from senet.explanation.interventions import Effect
from senet.explanation.values import BlockExplanation, Statistics
from senet.files.documents import finite

__all__ = ["SCHEMA", "document", "effect_values", "rounded"]

SCHEMA = 1
DIGITS = 6  # significant digits of vectors and extremes


def document(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as values that JSON can represent."""
    counts = explanation.images_per_class
    found = {
        "schema": SCHEMA,
        "made": {},
        "model": {
            "name": explanation.title,
            "design": None,
            "weights_sha256": None,
            "parameters": explanation.parameters,
        },
        "data": {
            "name": None,
            "split": None,
            "held_out": None,
            "images": explanation.images,
            "classes": list(explanation.classes) if counts else [],
            "images_per_class": list(counts),
            "top1": explanation.top1,
            "loss": explanation.loss,
            "chance": explanation.chance,
            "by": list(explanation.blocks[0].conditions) if explanation.blocks else [],
            "sample": {
                "images": explanation.sample,
                "text": "quantiles, intervals, permutations, information and regressions rest on "
                + ("all images" if explanation.sample == explanation.images else "a random sample of the images"),
            },
        },
        "blocks": [_block(block) for block in explanation.blocks],
        "stages": [
            {
                "stage": stage,
                "blocks": [block.name for block in explanation.blocks if block.stage == stage],
                "constant": effect_values(one),
            }
            for stage, one in explanation.stages.items()
        ],
        "images": [
            {"index": one.index, "label": one.row, "name": one.name, "thumbnail": one.thumbnail}
            for one in explanation.pictures
        ],
        "notes": list(explanation.notes),
    }
    return finite(found)


def _block(block: BlockExplanation) -> dict[str, Any]:
    statistics = {one.name: getattr(block, one.name) for one in fields(Statistics)}
    statistics |= {"selectivity": asdict(block.selectivity), "context": asdict(block.context)}
    statistics["class_share_chance"] = 0.0  # already subtracted
    return {
        "name": block.name,
        "kind": block.kind,
        "stage": block.stage or None,
        "channels": block.channels,
        "hidden": list(block.hidden_widths),
        "parameters": block.parameters,
        "macs": block.macs,
        "time_percent": block.time_percent,
        "gate": block.gate,
        "gate_range": list(block.gate_range),
        "own_logits": block.own_logits,
        "diagnosis": [asdict(one) for one in block.diagnosis],
        "statistics": statistics,
        "conditions": {
            name: {"share": one.share, "p": one.p, "groups": list(one.groups), "counts": list(one.counts)}
            for name, one in block.conditions.items()
        },
        "importance": {kind: effect_values(one) for kind, one in block.importance.items()},
        "gate_curve": None if block.gate_curve is None else asdict(block.gate_curve),
        "channels_by_name": {name: rounded(values) for name, values in block.by_channel.items()},
        "histogram": dict(block.histogram),
        "squeeze_curve": dict(block.squeeze_curve),
        "extremes": {"open": _few(block.extremes.open), "shut": _few(block.extremes.shut)},
    }


def effect_values(one: Effect) -> dict[str, Any]:
    """Return the effect of an intervention as values."""
    return {"loss": list(one.loss), "top1": list(one.top1), "images": one.images}


def _few(few: Few) -> dict[str, Any]:
    return {"image": few.image.tolist(), "value": [rounded(row) for row in few.value]}


def rounded(values: Tensor) -> list[float]:
    """Return numbers with six significant digits."""
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]
