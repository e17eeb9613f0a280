"""Open a network by name or folder, with its weights and with the images it is measured on."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from senet.data.dataset import Split
from senet.data.loading import load_for
from senet.data.subset import balanced
from senet.errors import DataError, UsageError
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.known_names import Origins
from senet.networks import Named, create, from_pretrained, made_of, named, origin_of, preprocessing_of
from senet.networks.built_weights import weights_of
from senet.networks.ends import num_outputs
from senet.networks.own_images import refuse_foreign, see
from senet.networks.preprocessing import described_images
from senet.networks.preprocessing import preprocessing_of as foreign_preprocessing
from senet.networks.stated import ensure_same_source
from senet.spec import SESpec, designs
from senet.surgery.folding.answers import OneOutput
from senet.training.evaluate_saved import finished, other_classes
from senet.training.initial_network import build
from senet.weights import load_weights
from senet.weights.config import Preprocessing
from senet.weights.safe import read_weights
from senet.weights.source import locate

__all__ = ["Batches", "Opened", "OpenedNetwork", "open_network", "open_without_images"]


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of a split that can be iterated over more than once.

    Attributes:
        split: the images.
        indices: indices of the images to use, in order.
        labelled: whether the labels are indices of the network's outputs; batches are pairs with labels only then.
        size: images per batch.
        workers: processes that decode image files.
    """

    split: Split
    indices: Tensor
    labelled: bool
    size: int = 100
    workers: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images; empty if they have none."""
        names = getattr(self.split, "names", ())
        return tuple(names[index] for index in self.indices.tolist()) if names else ()

    @property
    def colours(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel that make pixels in [0, 1] the input; empty if unknown."""
        done = getattr(self.split, "normalize", None)
        mean, std = getattr(done, "mean", None), getattr(done, "std", None)
        if mean is None or std is None:
            return (), ()
        channels = self.split.shape[0]
        return tuple(mean) or (0.0,) * channels, tuple(std) or (1.0,) * channels

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        plan = [(part, 0) for part in torch.split(self.indices, self.size)]
        for x, y in self.split.batches(plan, augment=None, device="cpu", workers=self.workers):
            yield (x, y) if self.labelled else x


@dataclass(frozen=True, eq=False, kw_only=True)
class Opened:
    """A network with its weights.

    Attributes:
        title: name of the network, for tables.
        model: the network with its weights, on its device.
        notes: remarks for the report.
        origin: arguments of `save_pretrained` that tell where the network comes from.
        preprocessing: of its images; None if it is not known, or means and deviations do not describe it.
        classes: name of the class of each label; empty if they are not known.
    """

    title: str
    model: nn.Module
    notes: tuple[str, ...] = ()
    origin: Mapping[str, Any]
    preprocessing: Preprocessing | None
    classes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenedNetwork(Opened):
    """A network with its weights, and its training and test images as batches.

    Attributes:
        statistics: training images, for gates and order.
        test: test images.
        run: what was trained, for the folder of a run; the data alone for other networks.
    """

    statistics: Batches
    test: Batches
    run: Run | None


def open_without_images(
    name: str,
    *,
    se: str = "plain",
    weights: Path | None = None,
    origin: Origins = "senet",
    builder: str | None = None,
) -> Opened:
    """Build a network and load its weights.

    Args:
        name: folder of a finished run, or a name that `senet.networks.named` resolves.
        se: the design of a network of the zoo.
        weights: file with the weights; None only for folders, which have their own.
        origin: library whose tensor names the weights of a network of the zoo have.
        builder: `FILE.py:FUNCTION` that builds the network of a folder that was made by the user's own code.

    Raises:
        UsageError: if weights are missing.
        SenetError: if the network and the weights do not fit.
    """
    who = named(name)
    _refuse_without_weights(who, name, weights)
    made = made_of(name, builder)
    if who.library == "senet":
        specs = designs(se)
        made["se"] = () if specs is None else (specs,) if isinstance(specs, SESpec) else tuple(specs)
        model = create(name, se=se, weights=weights, origin=origin)
    else:
        model = create(name, weights=weights, builder=builder)
    if who.is_foreign:
        made["preprocessing"] = foreign_preprocessing(who)[0]
    return Opened(title=str(who), model=model, origin=made, preprocessing=made.get("preprocessing"))


def _refuse_without_weights(who: Named, name: str, weights: Path | None) -> None:
    if weights is None and who.library != "folder" and not weights_of(who).loaded:
        raise UsageError(f"{name} has no weights; pass --weights FILE, nothing is downloaded.")


def open_network(
    name: str,
    run: Run | None,
    setup: Setup,
    *,
    weights: Path | None = None,
    origin: Origins = "senet",
    normalize: str = "auto",
    class_map: Path | None = None,
    builder: str | None = None,
    statistics: int = 1000,
    whole: bool = False,
    said: Collection[str] = (),
) -> OpenedNetwork:
    """Build a network, load its weights, and load its images.

    Args:
        name: folder of a finished run, or a name that `senet.networks.named` resolves.
        run: the data and, for a network of the zoo, its blocks; None for the folder of a run, which defines both.
        setup: device and paths.
        weights: file with the weights; None only for folders, which have their own.
        origin: library whose tensor names the weights of a network of the zoo have.
        normalize: normalisation for networks of other libraries, see `senet.networks.preprocessing.NORMS`.
        class_map: file with the output of every class, for networks of other libraries; None derives the outputs
            from the class names.
        builder: `FILE.py:FUNCTION` that builds the network of a folder that was made by the user's own code.
        statistics: number of training images for gates and order, balanced over the classes; at most all of them.
        whole: test on all images of a folder without a split, for networks of other libraries.
        said: fields of the data that the user set, see `Preprocessing.applied`.

    Raises:
        UsageError: if weights are missing, or --class-map is given for a network of the zoo.
        SenetError: if the network, the weights or the data do not fit.
    """
    who, trained = named(name), None if run is not None else finished(Path(name))  # before minutes of reading images
    _refuse_without_weights(who, name, weights)
    preprocessing: Preprocessing | None
    classes: Mapping[int, str]
    train: Split
    test: Split
    inside = named(builder or str(origin_of(name)["name"])) if who.library == "folder" else who
    if trained is None and inside.is_foreign:
        assert run is not None
        seen = see(
            name,
            who,
            run.data,
            setup,
            weights=weights,
            normalize=normalize,
            class_map=class_map,
            whole=whole,
            said=said,
        )
        model, title, train, test, labelled, notes, made = (
            seen.model, seen.title, seen.train, seen.test, not seen.unknown, seen.notes, origin_of(name),
        )  # fmt: skip
        preprocessing, classes = seen.preprocessing, seen.classes
        if seen.unknown:
            notes += (f"no accuracy: {seen.unknown}",)
    else:
        refuse_foreign(name, normalize, class_map)
        if trained is not None:
            run = trained[0]
            ensure_same_source(run, builder)
            data, made, title = load_for(setup, run.data), made_of(name, builder), f"{run.model} {run.design}"
            model = from_pretrained(name, builder=builder)
        elif run is not None and who.library == "senet" and weights is not None:
            data = load_for(setup, run.data)
            model, title = build(run, data), f"{run.model} {run.design}"
            load_weights(model, read_weights(locate(weights)), origin=origin)
            made = {"name": run.model, "se": run.se, "in_chans": data.shape[0], "image_size": data.shape[1]}
        else:
            assert run is not None
            told = preprocessing_of(name) if who.library == "folder" else None
            data = load_for(setup, run.data if told is None else told.applied(run.data, said=said))
            made = made_of(name, builder)
            model = create(name, weights=weights, or_classes=data.num_classes, builder=builder)
            title = Path(name).name if who.library == "folder" else str(who)
        model, train, test, notes = model.to(setup.device), data.train, data.test, data.notes
        preprocessing, classes = described_images(data), dict(enumerate(data.classes))
        labelled = num_outputs(OneOutput(model), data.shape, title=title) == data.num_classes
        if not labelled:
            notes += (f"no accuracy: the network has other outputs than the {data.num_classes} classes of the data",)
        elif trained is not None and (reason := other_classes(Path(name), data)):
            labelled = False
            notes += (f"no accuracy: {reason}",)
    number = min(statistics, len(train))
    if number < 1:
        raise DataError(f"statistics = {statistics} is too few; use at least one training image, 1000 is a good start.")
    some = balanced(train.labels, number, seed=0)
    return OpenedNetwork(
        title=title,
        model=model,
        statistics=Batches(train, some, labelled, workers=setup.workers),
        test=Batches(test, torch.arange(len(test)), labelled, workers=setup.workers),
        notes=notes,
        origin=made if preprocessing is None else {**made, "preprocessing": preprocessing},
        run=run,
        preprocessing=preprocessing,
        classes=classes,
    )
