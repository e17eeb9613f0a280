"""Explain a network that was opened by name or folder, on one of its splits."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from senet.errors import DataError, UsageError
from senet.experiments.environment import environment
from senet.explanation.conditions import read_columns
from senet.explanation.explanation import Explanation
from senet.explanation.interventions import INTERVENTIONS
from senet.explanation.measuring import explain
from senet.networks import from_pretrained, is_network
from senet.surgery.folding.removal import Watch
from senet.training.evaluate_saved import finished
from senet.training.opened_network import Batches, OpenedNetwork
from senet.weights.source import locate

__all__ = ["Asked", "described", "explain_opened"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an explanation of an opened network measures.

    Attributes:
        split: `test` or `train`.
        interventions: what takes the place of gates, see `senet.explain`.
        images: images of each intervention; 0 uses all.
        curve: whether to measure the accuracy with channels set to zero.
        by: CSV file with conditions of the images.
        compare: folder of a second run or network.
        builder: `FILE.py:FUNCTION` that builds the second network.
        classes: names of the classes of the figure.
    """

    split: str = "test"
    interventions: tuple[str, ...] = INTERVENTIONS
    images: int = 500
    curve: bool = False
    by: Path | None = None
    compare: Path | None = None
    builder: str | None = None
    classes: tuple[str, ...] = ()


def explain_opened(opened: OpenedNetwork, asked: Asked, *, watch: Watch | None = None) -> Explanation:
    """Explain an opened network on its test or training images.

    Raises:
        DataError: if the CSV file does not match the images.
        UsageError: if a class of the figure is not in the data, or the second network was trained on other data.
        SenetError: if the network or the images cannot be explained.
    """
    batches = opened.test if asked.split == "test" else _all_of(opened.statistics)
    number = len(batches.indices)
    for name in asked.classes:
        if opened.classes and name not in opened.classes.values():
            known = ", ".join(list(opened.classes.values())[:8])
            raise UsageError(f"--classes {name} is not a class of the images; they have {known}.")
    names = batches.names
    by = None if asked.by is None else read_columns(asked.by, number, names)
    other = None if asked.compare is None else _second(opened, asked.compare, asked.builder)
    mean, std = batches.colours
    found = explain(
        opened.model,
        batches,
        classes=opened.classes if opened.classes and batches.labelled else None,
        interventions=asked.interventions,
        images=asked.images or None,
        curve=asked.curve,
        by=by,
        other=other,
        names=names,
        mean=mean,
        std=std,
        watch=watch,
    )
    return replace(found, title=opened.title, notes=(*found.notes, *opened.notes))


def described(
    opened: OpenedNetwork, asked: Asked, *, weights: Path | None, folder: Path, device: str, command: str
) -> Mapping[str, Any]:
    """Return what `explain.json` says of the origin of an explanation, see `Explanation.save`.

    Args:
        opened: the network.
        asked: what was measured.
        weights: file of its weights; None for a folder, which has its own.
        folder: the name of the network as a path.
        device: device of the measurement.
        command: the command.
    """
    run = opened.run
    trained = (folder / "run.json").exists()
    held_out = asked.split == "test" if trained else (_of_a_test_set(opened, asked.split) or None)
    found = {
        "made": {"device": environment(device).device, "command": command},
        "model": {
            "name": opened.title,
            "design": run.design if run is not None and trained else None,
            "weights_sha256": _sha256(weights or folder),
        },
        "data": {
            "name": None if run is None else run.data.name,
            "split": asked.split,
            "held_out": held_out,
        },
    }
    if asked.compare is not None:
        found["other"] = {"name": asked.compare.name, "weights_sha256": _sha256(asked.compare)}
    return found


def _of_a_test_set(opened: OpenedNetwork, split: str) -> bool:
    """Return whether the images are the fixed test set of a named data set whose classes the network tells apart.

    Of training images, and of a folder of images, the weights do not tell whether the network was trained on them.
    """
    if opened.run is None or split != "test" or not opened.test.labelled:
        return False
    return opened.run.data.name not in ("folder", "arrays") and not opened.run.data.val_size


def _all_of(batches: Batches) -> Batches:
    return Batches(batches.split, torch.arange(len(batches.split)), batches.labelled, workers=batches.workers)


def _second(opened: OpenedNetwork, folder: Path, builder: str | None) -> torch.nn.Module:
    """Load the second network of a comparison."""
    if (folder / "run.json").exists():
        run, _ = finished(folder)
        if opened.run is None or run.data != opened.run.data:
            raise UsageError(
                f"--compare {folder} was trained on other data or with other preprocessing; both networks are "
                "explained on the same images."
            )
    elif not is_network(folder):
        raise DataError(f"--compare {folder} is not the folder of a finished run or of a network.")
    model = from_pretrained(folder, builder=builder)
    return model.to(next(opened.model.parameters()).device)


def _sha256(path: Path) -> str | None:
    file = locate(path) if path.exists() else path
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
