"""The data of the page: what one or two explanations say without what does not fit."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from senet.explanation.page.arrays import Packed
from senet.explanation.page.fitting import fit, left_out
from senet.explanation.page.head import head
from senet.explanation.page.matching import paired
from senet.explanation.page.pictures import most_used, read_images
from senet.explanation.page.script_json import script_json
from senet.explanation.page.tables import Explained, Key, channel_tables, class_tables, extremes, shortened

__all__ = ["Content", "content"]

_PICTURES = 0.15
"""Share of the page that is kept for images where the tables do not fit whole."""
_RANKS = 0.25
"""Share of the page above which the channels' lists of images are shortened."""
_RECORD = 500
"""Bytes that the description of an array takes at most."""


@dataclass(frozen=True)
class Content:
    """The two texts of the page that hold data."""

    data: str
    """JSON that is safe within a `script` element."""
    parts: str
    """Compressed arrays, one after the other, as base64."""


def content(explained: Sequence[Explained], size: int, *, licence: str) -> Content:
    """Return the data of a page.

    Args:
        explained: one explanation, or two of the same images.
        size: bytes for all of it.
        licence: text of the licence of the library in the page.
    """
    documents = [one.document for one in explained]
    shell = head(documents) | {"licence": licence}
    lists, ranks_note = shortened(extremes(documents), int(_RANKS * size))
    fixed = channel_tables(documents) | lists
    labels, images = read_images(documents)
    tables = class_tables(explained)

    room = size - len(script_json(shell)) - labels.size - sum(part.size for part in fixed.values())
    room -= _RECORD * (len(tables) + len(fixed) + 10)
    wanted = sum(image.size for image in images)
    blocks = documents[0]["blocks"]
    kept = fit(tables, room - wanted, least=room - min(wanted, int(_PICTURES * size)), first=_last_of_stages(blocks))
    records = most_used(images, room - sum(part.size for part in kept.values()))

    notes = [*shell["notes"], *left_out(tables, kept), *ranks_note]
    if len(records) < len(images):
        more = len(images) - len(records)
        notes.append(
            f"Left out to stay within the size limit: names and pictures of {more:,} of {len(images):,} images."
        )
    shell |= {"images": records, "notes": notes, "precision": _precision(kept)}
    return _assembled(shell, fixed | kept, labels, paired(documents))


def _last_of_stages(blocks: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the numbers of the blocks, the last of each stage first, and later stages before earlier ones."""
    stages = [block.get("stage") for block in blocks]
    last = [place for place, stage in enumerate(stages) if stage is None or stage not in stages[place + 1 :]]
    return last[::-1] + [place for place in range(len(blocks))[::-1] if place not in last]


def _precision(kept: Mapping[Key, Packed]) -> str:
    forms = {part.form for part in kept.values()}
    if forms <= {"float32"}:
        return "All numbers by class and channel are those of explain.json and sums.safetensors, in 32 bits."
    bits = 16 if forms == {"uint16"} else 8
    error = max(part.error for key, part in kept.items() if not key.kind.startswith("logit"))
    return (
        f"Means and standard deviations by class are stored in {bits} bits: those of gates are within {error:.1g} of "
        "sums.safetensors. All other numbers are those of explain.json."
    )


def _assembled(
    shell: dict[str, Any], arrays: Mapping[Key, Packed], labels: Packed, rows: Sequence[tuple[int | None, ...]]
) -> Content:
    """Return the texts: the arrays by blocks in `shell`, their bytes one after the other."""
    data = [labels.data]
    shell["labels"] = labels.record(0)
    places = {(model, block): place for place, row in enumerate(rows) for model, block in enumerate(row)}
    for key, part in arrays.items():
        record = shell["rows"][places[key.model, key.block]]["blocks"][key.model]["arrays"]
        record[key.name] = part.record(len(data))
        data.append(part.data)
    shell["parts"] = [len(part) for part in data]
    return Content(script_json(shell), base64.b64encode(b"".join(data)).decode("ascii"))
