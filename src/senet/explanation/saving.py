"""Write an explanation: `explain.json`, sums by class, figures, a report, and the page."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from senet.experiments.environment import environment
from senet.explanation.differences import Differences
from senet.explanation.document import document, effect_values
from senet.explanation.explanation import Explanation
from senet.explanation.figures import FIGURES
from senet.explanation.page import Explained, write
from senet.explanation.report import as_csv, as_markdown
from senet.files.atomic import ensure_writable, write_text
from senet.files.documents import finite
from senet.reports.canvas import no_figures
from senet.weights.writing import write_weights

__all__ = ["save"]

OTHER = "other"  # folder of the second network


def save(
    explanation: Explanation,
    folder: Path,
    made: Mapping[str, Any],
    classes: Sequence[str] = (),
    figures: Sequence[str] | None = None,
) -> tuple[Path, ...]:
    """Write the files of an explanation into a folder.

    Args:
        explanation: what is written; its second network goes into the folder `other`.
        folder: the folder; it is created.
        made: what else `explain.json` says, by the names `made`, `model`, `data`, and `other` for the same of the
            second network.
        classes: names of the classes that the figure `classes` shows.
        figures: names of the figures; None draws all.

    Returns:
        Paths of the files.

    Raises:
        StorageError: if a file cannot be written.
    """
    ensure_writable(folder)
    files, explained = _write(explanation, folder, made, classes, list(FIGURES) if figures is None else figures)
    files.append(write(folder, explained))
    return tuple(sorted(files))


def _write(
    explanation: Explanation, folder: Path, made: Mapping[str, Any], classes: Sequence[str], kinds: Sequence[str]
) -> tuple[list[Path], list[Explained]]:
    files: list[Path] = []
    others: list[Explained] = []
    found = document(explanation)
    found["made"] = {**_origin(), **made.get("made", {})}
    for part in ("model", "data"):
        found[part] |= made.get(part, {})
    if explanation.other is not None:
        folder_of_other = folder / OTHER
        ensure_writable(folder_of_other)
        own = {"made": found["made"], "data": made.get("data", {}), "model": made.get("other", {})}
        files, others = _write(explanation.other, folder_of_other, own, classes, kinds)
        found["other"] = {
            "folder": OTHER,
            "model": others[0].document["model"],
            "differences": _differences(explanation.differences),
        }
    found, sums = finite(found), _sums(explanation)
    write_text(folder / "explain.json", json.dumps(found, ensure_ascii=False, allow_nan=False) + "\n")
    write_weights(folder / "sums.safetensors", sums)
    write_text(folder / "blocks.csv", as_csv(explanation))
    drawn = kinds if no_figures() is None else ()
    figures = [f"{kind}.png" for kind in drawn if FIGURES[kind](explanation, folder / f"{kind}.png", classes=classes)]
    write_text(folder / "report.md", as_markdown(explanation, found, figures))
    names = ["explain.json", "sums.safetensors", "blocks.csv", "report.md", *figures]
    own_sums = {name: values.numpy() for name, values in sums.items()}
    return [*files, *(folder / name for name in names)], [Explained(found, own_sums), *others]


def _origin() -> dict[str, Any]:
    here = environment("cpu")
    return {
        "senet": here.senet,
        "commit": here.commit or None,
        "torch": here.torch,
        "device": None,
        "command": None,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _sums(explanation: Explanation) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for number, block in enumerate(explanation.blocks):
        arrays = {"class_mean": block.class_mean, "class_std": block.class_std}
        if block.own_logits:
            arrays |= {"logit_mean": block.logit_mean, "logit_std": block.logit_std}
        arrays |= {f"condition.{name}.mean": one.mean for name, one in block.conditions.items()}
        tensors |= {f"{number}.{name}": values.to(torch.float32).contiguous() for name, values in arrays.items()}
    return tensors


def _differences(found: Differences) -> dict[str, Any]:
    network = {} if found.network is None else effect_values(found.network)
    blocks = [
        {
            "a": one.first,
            "b": one.second,
            "class_share": None if one.class_share is None else list(one.class_share),
            "importance": {kind: {"loss": list(loss)} for kind, loss in one.importance.items()},
        }
        for one in found.blocks
    ]
    return {**network, "blocks": blocks}
