"""What the page says besides arrays: models, data, blocks with their statistics, definitions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from senet.explanation.page.definitions import DEFINITIONS
from senet.explanation.page.matching import paired
from senet.text import one_line

__all__ = ["CHANNEL_STATISTICS", "cleaned", "head"]

CHANNEL_STATISTICS = (
    "mean",
    "std",
    "low",
    "high",
    "information",
    "selectivity_gate",
    "class_share",
    "squeeze_mean",
    "squeeze_std",
    "missing",
)
"""Statistics of a channel that the page shows, as `channels_by_name` of a block calls them."""

_LONGEST = 300
_BLOCK: tuple[tuple[str, Any], ...] = (
    ("name", ""),
    ("kind", ""),
    ("stage", None),
    ("channels", 0),
    ("hidden", []),
    ("parameters", 0),
    ("macs", None),
    ("time_percent", None),
    ("gate", ""),
    ("diagnosis", []),
    ("statistics", {}),
    ("conditions", {}),
    ("importance", {}),
    ("gate_curve", None),
    ("histogram", None),
    ("squeeze_curve", None),
)


def head(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the data of the page without arrays and images.

    Args:
        documents: contents of one or two `explain.json`.
    """
    data = documents[0]["data"]
    return {
        "models": [
            {name: cleaned(document["model"].get(name)) for name in ("name", "design", "parameters")}
            | {name: document["data"].get(name) for name in ("top1", "loss")}
            for document in documents
        ],
        "made": [cleaned(document["made"]) for document in documents],
        "data": {
            **{name: cleaned(data.get(name)) for name in ("name", "split", "held_out", "images", "chance")},
            "images_per_class": data["images_per_class"] if data["classes"] else [data["images"]],
            "labelled": bool(data["classes"]),
            "sample": cleaned((data.get("sample") or {}).get("text")),
        },
        "classes": [cleaned(name) for name in data["classes"] or ["all images"]],
        "rows": _rows(documents),
        "differences": cleaned((documents[0].get("other") or {}).get("differences")) if len(documents) == 2 else None,
        "definitions": {place: definition._asdict() for place, definition in DEFINITIONS.items()},
        "channel_statistics": CHANNEL_STATISTICS,
        "notes": [cleaned(note) for document in documents for note in document.get("notes") or []],
    }


def _rows(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each block, under a name of its own: the address of the page tells blocks by name."""
    blocks = [[_block(block) for block in document["blocks"]] for document in documents]
    seen: Counter[str] = Counter()
    rows = []
    for numbers in paired(documents):
        both = [None if number is None else own[number] for own, number in zip(blocks, numbers, strict=True)]
        name = next(block["name"] for block in both if block is not None)
        seen[name] += 1
        rows.append({"name": name if seen[name] == 1 else f"{name} ({seen[name]})", "blocks": both})
    return rows


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: cleaned(block.get(name, default)) for name, default in _BLOCK}
    return known | {"name": known["name"] or "(the network)", "arrays": {}}


def cleaned(value: Any) -> Any:
    """Return a value of JSON with each text on one line of at most 300 characters, all of them visible."""
    if isinstance(value, str):
        said = one_line(value)
        return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
    if isinstance(value, dict):
        return {cleaned(key): cleaned(entry) for key, entry in value.items()}
    return [cleaned(entry) for entry in value] if isinstance(value, list) else value
