"""Evaluation data for a network of another library or a folder: its preprocessing, and labels mapped to its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from senet.data.dataset import Data, Split
from senet.data.file_split import Files
from senet.data.loading import load_for
from senet.experiments.data_spec import DataSpec
from senet.experiments.setup import Setup
from senet.networks import Named
from senet.networks.class_map import outputs_of, read_class_map
from senet.networks.create import create
from senet.networks.ends import num_outputs
from senet.networks.own_pictures import Pictures, Pixels
from senet.networks.preprocessing import NORMS, ForeignPreprocessing, adjusted, preprocessing_of
from senet.nn.evaluated import evaluated
from senet.weights.exported_file import is_exported, read_exported

__all__ = ["Seen", "see"]

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
        test: test images.
        preprocessing: preprocessing of the images.
        unknown: why the labels cannot be mapped to outputs of the network; empty if they can.
        notes: remarks for the report.
        classes: name of the class of each output that occurs as a label; empty if the labels cannot be mapped.
    """

    title: str
    model: nn.Module
    outputs: int | None
    train: Pictures | Pixels
    test: Pictures | Pixels
    preprocessing: ForeignPreprocessing
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
) -> Seen:
    """Build a network of another library or a folder, load its weights, and load images with its preprocessing.

    Args:
        name: name of the network as the user wrote it.
        found: the same name resolved by `senet.networks.names.named`.
        spec: the data; without a size, image folders use that of the network.
        setup: device and paths.
        weights: file with the network's state dict; None for a folder with its own.
        normalize: name of the normalisation, see `senet.networks.preprocessing.adjusted`.
        class_map: file with the output of every class, see `senet.networks.class_map.read_class_map`; None derives
            the outputs from the class names.
        whole: test on all images of a folder without a split, as nothing is trained.
        builder: name of the function that builds the network of a folder, or loads a program, see `from_pretrained`.

    Raises:
        SenetError: if the network, the weights, the class map or the data do not fit.
    """
    known = _of_file(found) if class_map is None else read_class_map(class_map)
    wanted = adjusted(preprocessing_of(found), normalize=normalize, size=spec.size)
    size = spec.size or (max(wanted.size) if spec.name == "folder" else 0)
    spec = replace(spec, normalize="unit", size=size)
    data = load_for(setup, spec)
    model = create(name, weights=weights, or_classes=data.num_classes, builder=builder).to(setup.device)
    title = str(found) if found.is_foreign else Path(name).name
    outputs = num_outputs(model, _seen(data.test, wanted, data.test.labels).shape, title=title)
    classes = "the network does not return logits" if outputs is None else outputs_of(data.classes, outputs, known)
    unknown = classes if isinstance(classes, str) else ""
    table = torch.tensor(range(data.num_classes) if isinstance(classes, str) else classes)
    train, test = (_seen(split, wanted, table[split.labels]) for split in (data.train, data.test))
    kept = f"images of {'x'.join(map(str, test.shape[1:]))} not resized, {wanted.describe_normalization()}"
    notes = (*data.notes, f"preprocessing: {wanted if isinstance(test, Pictures) else kept}")
    if whole and isinstance(train, Pictures) and isinstance(test, Pictures) and _has_no_split(setup.data_dir):
        test = replace(
            test, items=train.items + test.items, names=train.names + test.names,
            labels=torch.cat([train.labels, test.labels]),
        )  # fmt: skip
        notes = (f"the folder has no split: tested on all {len(test)} images", notes[-1])
    if known is None and isinstance(classes, tuple):
        notes += (_order(data, classes),)
    if not unknown and (doubt := _better_normalization(model, test, setup.device)):
        notes += (doubt,)
    names = {} if isinstance(classes, str) else dict(zip(classes, data.classes, strict=True))
    return Seen(title, model, outputs, train, test, wanted, unknown, notes, names)


def _of_file(found: Named) -> Mapping[str, int] | None:
    """Return the class map that an exported file holds; None if it holds none."""
    if not is_exported(found.name):
        return None
    return {name: int(output) for output, name in read_exported(found.name).get("classes", {}).items()} or None


def _seen(split: Split, wanted: ForeignPreprocessing, labels: Int64[Tensor, " n"]) -> Pictures | Pixels:
    if isinstance(split, Files):
        return Pictures(split.items, split.names, labels, wanted)
    return Pixels(split, labels, wanted)


def _has_no_split(root: Path | None) -> bool:
    return root is not None and not (root / "train").is_dir() and not any(root.glob("**/train-*.parquet"))


def _order(data: Data, outputs: tuple[int, ...]) -> str:
    """Describe how class folders were mapped to outputs."""
    if [str(number) for number in outputs] == list(data.classes):
        return "class folders are named by the numbers of the network's outputs"
    some = ", ".join(data.classes[:3]) + (", ..." if data.num_classes > 3 else "")
    return f"class folders are mapped to the network's outputs in this order: {some}; --class-map FILE changes it"


@torch.no_grad()
def _better_normalization(model: nn.Module, pictures: Pictures | Pixels, device: str) -> str:
    """Return a warning if another normalisation is clearly more accurate on some images; empty otherwise."""
    chosen = torch.linspace(0, len(pictures) - 1, min(TRIED, len(pictures))).long()
    own = pictures.preprocessing
    right: dict[str, int] = {}
    with evaluated(model):
        for x, y in pictures.batches([(part, 0) for part in torch.split(chosen, 50)], augment=None, device=device):
            mean, std = (torch.tensor(values, device=x.device).view(-1, 1, 1) for values in (own.mean, own.std))
            for name, (other_mean, other_std) in {"": (own.mean, own.std), **NORMS}.items():
                tried = replace(own, mean=other_mean, std=other_std)
                answers = model(x if not name else tried.numbers(x * std + mean))
                right[name] = right.get(name, 0) + int((answers.argmax(1) == y).sum())
    best = max(right, key=lambda name: right[name])
    if right[best] - right[""] <= CLEARLY * len(chosen):
        return ""
    return (
        f"{right['']} of {len(chosen)} images are classified correctly with the library's normalisation and "
        f"{right[best]} with --normalize {best}: the weights may have been trained with the latter, like timm's tf_... "
        "networks"
    )
