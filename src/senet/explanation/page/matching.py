"""Which blocks of two explanations belong together, and whether the two can be compared at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from senet.errors import DataError

__all__ = ["check_alike", "paired"]


def check_alike(documents: Sequence[Mapping[str, Any]]) -> None:
    """Raise a `DataError` if two explanations are not of the same images.

    Args:
        documents: contents of `explain.json`.
    """
    first, *others = (document["data"] for document in documents)
    for other in others:
        for name in ("classes", "images_per_class", "images", "split"):
            if other[name] != first[name]:
                raise DataError(
                    f"data.{name} of the second explanation differs from the first: a page compares two models on the "
                    "same images; explain both with one command (`--compare`)."
                )


def paired(documents: Sequence[Mapping[str, Any]]) -> list[tuple[int | None, ...]]:
    """Return the rows of the page: the number of the block in each model, None where a model has no such block.

    Blocks belong together as the first explanation says in `other.differences`, else by name; where no name is the
    same and the numbers of blocks are, by their order.

    Args:
        documents: contents of one or two `explain.json`.
    """
    if len(documents) == 1:
        return [(number,) for number in range(len(documents[0]["blocks"]))]
    names = [[block["name"] for block in document["blocks"]] for document in documents]
    partners = _stated(documents[0]) or {name: name for name in names[0] if name in names[1]}
    if not partners and len(names[0]) == len(names[1]):
        partners = dict(zip(*names, strict=True))
    second = {name: number for number, name in enumerate(names[1])}
    rows: list[tuple[int | None, ...]] = [
        (number, second.get(partners.get(name, ""))) for number, name in enumerate(names[0])
    ]
    taken = {row[1] for row in rows}
    return rows + [(None, number) for number in range(len(names[1])) if number not in taken]


def _stated(document: Mapping[str, Any]) -> dict[str, str]:
    pairs = ((document.get("other") or {}).get("differences") or {}).get("blocks") or []
    return {pair["a"]: pair["b"] for pair in pairs if pair.get("b") is not None}
