"""Check that results can be compared: that they were trained and tested on the same images."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from senet.errors import CheckpointError
from senet.experiments.early_stopping import Pruned
from senet.experiments.result import Result

__all__ = ["refuse_changed_images", "refuse_other_images"]


def refuse_other_images(results: Iterable[Result | Pruned]) -> None:
    """Raise an error for results of different images; every table, figure and list is checked.

    Args:
        results: results of one comparison, search or list. Those with equal `run.data` must have equal fingerprints,
            classes and numbers of test images.

    Raises:
        CheckpointError: naming the first two that differ.
    """
    first: dict[Any, Result | Pruned] = {}
    for result in results:
        other = first.setdefault(result.run.data, result)
        if result.data != other.data:
            difference = f"different images ({other.data} and {result.data})"
        elif result.total != other.total:
            difference = f"different images: {other.total:,} and {result.total:,} were tested"
        elif isinstance(result, Result) and isinstance(other, Result) and result.classes != other.classes:
            difference = "different classes"
        else:
            continue
        one, two = (f"run {r.run.id} ({r.run.model} {r.run.design}, seed {r.run.seed})" for r in (other, result))
        raise CheckpointError(
            f"{one} and {two} used {difference}, so they cannot be compared; remove the results of one of the two (its "
            "folder of runs, its line in results.jsonl), or train both on the same images."
        )


def refuse_changed_images(place: Path, before: str, now: str) -> None:
    """Raise an error if a training would be resumed on other images.

    Raises:
        CheckpointError: if they differ.
    """
    if before != now:
        raise CheckpointError(
            f"{place} is of other images: {before} -> {now}; choose another folder or remove this one."
        )
