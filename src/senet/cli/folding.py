"""`senet fold` at work: a network and its images in, the folded network with its curve out."""

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from senet.data.dataset import Split
from senet.data.loading import load_for
from senet.data.subset import balanced
from senet.errors import DataError, SpecError, UsageError
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.files.atomic import write_json, write_text
from senet.networks import origin_of, preprocessing_of, save_pretrained
from senet.networks.loaded import Named, host, made_of, named
from senet.networks.own_images import num_outputs, see
from senet.reports.canvas import no_figures
from senet.reports.fold_report import again, as_csv, as_markdown, draw
from senet.surgery import Folded
from senet.training.initial_network import build
from senet.training.testing import finished
from senet.weights import load_weights
from senet.weights.safe import read_weights
from senet.weights.source import locate
from senet.weights.writing import write_weights

__all__ = ["Batches", "Subject", "finite", "prepare", "write_folded"]


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of a split that can be gone through again and again.

    Attributes:
        split: the images.
        indices: which of them, in order.
        labelled: whether their labels mean what the network's outputs mean.
        size: images at once.
        workers: processes that decode files.
    """

    split: Split
    indices: Tensor
    labelled: bool
    size: int = 100
    workers: int = 0

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        plan = [(part, 0) for part in torch.split(self.indices, self.size)]
        for x, y in self.split.batches(plan, augment=None, device="cpu", workers=self.workers):
            yield (x, y) if self.labelled else x


@dataclass(frozen=True, eq=False)
class Subject:
    """What is folded.

    Attributes:
        title: its name, for tables.
        model: the network with its weights, on its device.
        statistics: training images.
        test: test images.
        notes: what a reader should know.
        origin: where the network comes from, arguments of `save_pretrained`.
    """

    title: str
    model: nn.Module
    statistics: Batches
    test: Batches
    notes: tuple[str, ...]
    origin: Mapping[str, Any]


def prepare(
    name: str,
    run: Run | None,
    setup: Setup,
    *,
    weights: Path | None = None,
    origin: str = "senet",
    normalize: str = "auto",
    class_map: Path | None = None,
    builder: str | None = None,
    statistics: int = 1000,
) -> Subject:
    """Build and load a network, and load its images.

    Args:
        name: folder of a finished run, or what `senet.networks.loaded.named` knows.
        run: data, and of a network of the zoo its blocks; None for the folder of a run, which says it itself.
        setup: device and paths.
        weights: of anything but a folder.
        origin: whose names the weights of a network of the zoo have.
        normalize: of foreign networks, see `senet.networks.preprocessing.adjusted`.
        class_map: of foreign networks, which output every class folder means; None leaves that to the names.
        builder: `FILE.py:FUNCTION` that makes the network of a folder, where it is one of the user's own.
        statistics: training images for gates and order, equally many of every class; fewer if there are fewer.

    Raises:
        UsageError: if weights are missing or superfluous.
        SenetError: if the network, the weights or the data do not fit.
    """
    if run is None:
        run, weights = finished(Path(name))
        who = Named("senet", run.model)
    else:
        who = named(name)  # before minutes of reading images
        if weights is None and who.library != "folder":
            raise UsageError(f"{name} has no weights to fold: give them by --weights FILE; nothing is fetched.")
    train: Split
    test: Split
    inside = named(builder or str(origin_of(name)["name"])) if who.library == "folder" else who
    if inside.is_foreign:
        seen = see(name, who, run.data, setup, weights=weights, normalize=normalize, class_map=class_map)
        model, title, train, test, labelled, notes, made = (
            seen.model, seen.title, seen.train, seen.test, not seen.unknown, seen.notes, origin_of(name),
        )  # fmt: skip
        if seen.unknown:
            notes += (f"no accuracy: {seen.unknown}",)
    else:
        if class_map is not None:
            raise UsageError(f"--class-map is for networks of other libraries; {name} has its own classes.")
        told = preprocessing_of(name) if who.library == "folder" else None
        wanted = run.data if told is None else told.applied(run.data)
        data = load_for(setup, wanted)
        if who.library == "senet" and weights is not None:
            model, title = build(run, data), f"{run.model} {run.design}"
            load_weights(model, read_weights(locate(weights)), origin=origin)
            made = {"name": run.model, "se": run.se, "in_chans": data.shape[0], "image_size": data.shape[1]}
        else:
            made = made_of(name, builder)
            model = host(name, weights=weights, or_classes=data.num_classes, builder=builder)
            title = Path(name).name if who.library == "folder" else str(who)
        model, train, test, notes = model.to(setup.device), data.train, data.test, data.notes
        labelled = num_outputs(model, title, data.shape, setup.device) == data.num_classes
        if not labelled:
            notes += (f"the network has other outputs than the {data.num_classes} classes of the data: no accuracy",)
    number = min(statistics, len(train))
    if number < 1:
        raise DataError(f"--statistics {statistics}: give at least one training image, 1000 are a good start.")
    some = balanced(train.labels, number, seed=0)
    return Subject(
        title=title,
        model=model,
        statistics=Batches(train, some, labelled, workers=setup.workers),
        test=Batches(test, torch.arange(len(test)), labelled, workers=setup.workers),
        notes=notes,
        origin=made,
    )


def write_folded(subject: Subject, folded: Folded, folder: Path, *, command: str) -> tuple[Path, ...]:
    """Write the report of a fold, and the network unless it was a dry run.

    Args:
        subject: the network, folded by now.
        folded: its report.
        folder: where the files go.
        command: what made them.

    Returns:
        The files.
    """
    names, notes = ["curve.csv", "fold.json", "report.md"], subject.notes
    write_text(folder / "curve.csv", as_csv(folded))
    write_json(folder / "fold.json", {"network": subject.title, "command": command, **finite(folded.as_dict())})
    figure = len(folded.steps) > 1 and no_figures() is None
    if figure:
        draw(folded, folder / "figure.png", title=subject.title)
        names.append("figure.png")
    if not folded.dry_run:
        write_weights(folder / "model.safetensors", subject.model.state_dict())
        names.append("model.safetensors")
        try:
            save_pretrained(subject.model, folder, **subject.origin)
            names += ["README.md", "config.json"]
        except SpecError as error:  # a network that cannot be described is still worth its weights
            notes += (f"no config.json was written, load the weights in Python as shown below: {error}",)
            warnings.warn(f"{folder}: {notes[-1]}", stacklevel=2)
    loading = "" if folded.dry_run else again(folded, subject.title, folder)
    text = as_markdown(folded, title=subject.title, command=command, notes=notes, figure=figure, loading=loading)
    write_text(folder / "report.md", text)
    return tuple(folder / name for name in sorted(names))


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give JSON's null for numbers that are none or have no end."""
    return {name: _finite(value) for name, value in values.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return finite(value)
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
