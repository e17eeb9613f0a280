"""Evaluation data for a network of another library or a folder: its preprocessing, and labels mapped to its outputs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from senet.data.dataset import Data, Loaded
from senet.data.loading import load_for
from senet.data.normalize import Normalize
from senet.errors import SpecError, UsageError, unknown
from senet.experiments.data_spec import DataSpec
from senet.experiments.setup import Setup
from senet.networks import Named
from senet.networks.class_map import outputs_of, read_class_map
from senet.networks.create import create
from senet.networks.ends import num_outputs
from senet.networks.preprocessing import NORMS, describe, described_images, preprocessing_of
from senet.nn.evaluated import evaluated
from senet.weights.config import Preprocessing
from senet.weights.exported_file import is_exported, read_exported

__all__ = ["Seen", "refuse_foreign", "see"]

TRIED = 100  # labelled images to test the normalisation on
CLEARLY = 0.1  # gain in accuracy [1] by another normalisation that causes a warning


@dataclass(frozen=True, eq=False)
class Seen:
    """A network and its preprocessed images.

    Attributes:
        title: name of the network with its library.
        model: the network on its device, in evaluation mode.
        outputs: number of classes; None if it does not return logits.
        train: training images.
        test: test images, for `whole` all of a folder without a split.
        preprocessing: preprocessing of the images; None if means and deviations do not describe it.
        unknown: why the labels cannot be mapped to outputs of the network; empty if they can.
        notes: remarks for the report.
        classes: name of the class of each output that occurs as a label; empty if the labels cannot be mapped.
    """

    title: str
    model: nn.Module
    outputs: int | None
    train: Loaded
    test: Loaded
    preprocessing: Preprocessing | None
    unknown: str
    notes: tuple[str, ...]
    classes: Mapping[int, str]


def see(
    name: str,
    found: Named,
    spec: DataSpec,
    setup: Setup,
    *,
    weights: Path | None,
    normalize: str = "auto",
    class_map: Path | None = None,
    whole: bool = False,
    builder: str | None = None,
    said: Collection[str] = (),
) -> Seen:
    """Build a network of another library or a folder, load its weights, and load images with its preprocessing.

    Args:
        name: name of the network as the user wrote it.
        found: the same name resolved by `senet.networks.names.named`.
        spec: the data; without a size, image folders use that of the network.
        setup: device and paths.
        weights: file with the network's state dict; None for a folder with its own.
        normalize: name of the normalisation, see `senet.networks.preprocessing.NORMS`.
        class_map: file with the output of every class, see `senet.networks.class_map.read_class_map`; None derives
            the outputs from the class names.
        whole: test on all images of a folder without a split, as nothing is trained.
        builder: name of the function that builds the network of a folder, or loads a program, see `from_pretrained`.
        said: fields of the data that the user set, see `Preprocessing.applied`.

    Raises:
        SenetError: if the network, the weights, the class map or the data do not fit.
    """
    known = _of_file(found) if class_map is None else read_class_map(class_map)
    own, source = preprocessing_of(found)
    if normalize != "auto":
        if normalize not in NORMS:
            raise unknown("--normalize", normalize, (*NORMS, "auto"))
        if spec.mean or spec.normalize != DataSpec().normalize:
            raise SpecError(f"--normalize {normalize} contradicts data.normalize, data.mean and data.std; give one.")
        own, source = replace(own, mean=NORMS[normalize][0], std=NORMS[normalize][1]), f"--normalize {normalize}"
    asked = own.applied(spec, said=said, sized=spec.name == "folder")
    data = load_for(setup, asked, whole=whole)
    train, test = data.loaded
    model = create(name, weights=weights, or_classes=data.num_classes, builder=builder).to(setup.device)
    title = str(found) if found.is_foreign else Path(name).name
    outputs = num_outputs(model, test.shape, title=title)
    classes = "the network does not return logits" if outputs is None else outputs_of(data.classes, outputs, known)
    no_outputs = classes if isinstance(classes, str) else ""
    table = torch.tensor(range(data.num_classes) if isinstance(classes, str) else classes)
    train, test = (replace(split, labels=table[split.labels]) for split in (train, test))
    if asked.mean != own.mean:
        source = "data.mean and data.std" if asked.mean else f"data.normalize={asked.normalize}"
    notes = (*data.notes, f"preprocessing: {describe(test, source)}")
    if known is None and isinstance(classes, tuple):
        notes += (_order(data, classes),)
    if not no_outputs and (doubt := _better_normalization(model, test, setup.device, source)):
        notes += (doubt,)
    names = {} if isinstance(classes, str) else dict(zip(classes, data.classes, strict=True))
    return Seen(title, model, outputs, train, test, described_images(data), no_outputs, notes, names)


def refuse_foreign(name: str, normalize: str, class_map: Path | None) -> None:
    """Refuse the options of networks of other libraries for a network that has settings of its own.

    Raises:
        UsageError: if one of them is given.
    """
    for flag, given in (("--class-map", class_map is not None), ("--normalize", normalize != "auto")):
        if given:
            raise UsageError(f"{flag} is only for networks of other libraries, not for {name}; leave it out.")


def _of_file(found: Named) -> Mapping[str, int] | None:
    """Return the class map that an exported file holds; None if it holds none."""
    if not is_exported(found.name):
        return None
    return {name: int(output) for output, name in read_exported(found.name).get("classes", {}).items()} or None


def _order(data: Data, outputs: tuple[int, ...]) -> str:
    """Describe how class folders were mapped to outputs."""
    if [str(number) for number in outputs] == list(data.classes):
        return "class folders are named by the numbers of the network's outputs"
    some = ", ".join(data.classes[:3]) + (", ..." if data.num_classes > 3 else "")
    return f"class folders are mapped to the network's outputs in this order: {some}; --class-map FILE changes it"


@torch.no_grad()
def _better_normalization(model: nn.Module, test: Loaded, device: str, source: str) -> str:
    """Return a warning if another normalisation is clearly more accurate on some images; empty otherwise."""
    chosen = torch.linspace(0, len(test) - 1, min(TRIED, len(test))).long()
    plan = [(part, 0) for part in torch.split(chosen, 50)]
    own = replace(test.normalize, scale=1.0)
    others = {name: Normalize(*values, scale=1.0) for name, values in NORMS.items() if test.shape[0] == len(values[0])}
    norms = {"": own, **{name: norm for name, norm in others.items() if norm != own}}
    right = dict.fromkeys(norms, 0)
    pixels = replace(test, normalize=Normalize(scale=test.normalize.scale))
    with evaluated(model):
        for x, y in pixels.batches(plan, augment=None, device=device):
            for name, norm in norms.items():
                right[name] += int((model(norm(x.clone())).argmax(1) == y).sum())
    best = max(right, key=lambda name: right[name])
    if right[best] - right[""] <= CLEARLY * len(chosen):
        return ""
    return (
        f"{right['']} of {len(chosen)} images are classified correctly with this normalisation [{source}] and "
        f"{right[best]} with --normalize {best}: the weights may have been trained with the latter, like timm's tf_... "
        "networks"
    )
