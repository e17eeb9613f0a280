"""Which blocks of two explanations belong together."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["paired"]


def paired(documents: Sequence[Mapping[str, Any]]) -> list[tuple[int | None, ...]]:
    """Return the rows of the page: the number of the block in each model, None where a model has no such block.

    Blocks belong together as the first explanation says in `other.differences`.

    Args:
        documents: contents of one or two `explain.json`.
    """
    if len(documents) == 1:
        return [(number,) for number in range(len(documents[0]["blocks"]))]
    names = [[block["name"] for block in document["blocks"]] for document in documents]
    partners = {pair["a"]: pair["b"] for pair in documents[0]["other"]["differences"]["blocks"]}
    second = {name: number for number, name in enumerate(names[1])}
    rows: list[tuple[int | None, ...]] = [
        (number, second.get(partners.get(name, ""))) for number, name in enumerate(names[0])
    ]
    taken = {row[1] for row in rows}
    return rows + [(None, number) for number in range(len(names[1])) if number not in taken]
