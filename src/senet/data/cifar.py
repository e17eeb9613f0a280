"""CIFAR-10 and CIFAR-100 in the three layouts people have: Python batches, binary batches, Parquet shards."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from senet.data.download import fetch_archive
from senet.data.parquet import find_shards, read_shards
from senet.data.pictures import UnreadableImages, decode_all
from senet.data.places import candidates, missing
from senet.data.source import Pixels, Source
from senet.data.unpickle import read_pickle
from senet.errors import DataError

__all__ = ["CIFARS", "Cifar", "read_cifar"]

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE

_NAMES_10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_NAMES_100 = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """.split()  # noqa: SIM905 -- a hundred quoted names are no easier to read
)


@dataclass(frozen=True)
class Cifar:
    """One of the two sets and its files.

    Attributes:
        title: as people write it.
        classes: standard names, for layouts that carry none.
        python: folder of the Python batches.
        train: its files.
        test: likewise.
        meta: file of the class names there.
        label: key of the labels there.
        names: key of the class names in the meta file.
        md5: of the published Python files.
        binary: folder of the binary batches.
        binary_train: its files.
        binary_test: likewise.
        label_bytes: bytes before the pixels of a binary row; the last is the label.
        url: of the Python batches.
        archive_md5: of the archive there.
    """

    title: str
    classes: tuple[str, ...]
    python: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    label: str
    names: str
    md5: Mapping[str, str]
    binary: str
    binary_train: tuple[str, ...]
    binary_test: tuple[str, ...]
    label_bytes: int
    url: str
    archive_md5: str


CIFARS: Mapping[str, Cifar] = {
    "cifar10": Cifar(
        title="CIFAR-10",
        classes=_NAMES_10,
        python="cifar-10-batches-py",
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test=("test_batch",),
        meta="batches.meta",
        label="labels",
        names="label_names",
        md5={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
        binary="cifar-10-batches-bin",
        binary_train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        binary_test=("test_batch.bin",),
        label_bytes=1,
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        archive_md5="c58f30108f718f92721af3b95e74349a",
    ),
    "cifar100": Cifar(
        title="CIFAR-100",
        classes=_NAMES_100,
        python="cifar-100-python",
        train=("train",),
        test=("test",),
        meta="meta",
        label="fine_labels",
        names="fine_label_names",
        md5={"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        binary="cifar-100-binary",
        binary_train=("train.bin",),
        binary_test=("test.bin",),
        label_bytes=2,  # the coarse label comes first
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
    ),
}


def read_cifar(name: str, root: Path | None, *, bad: UnreadableImages, download: bool) -> Source:
    """Read the set from the first layout that is there: Python batches, binary batches, Parquet.

    Row counts are free, so that a subset of one's own works. Python files that differ from the published ones are
    named in a note: they may be such a subset, noisy labels, or a damaged copy.

    Args:
        name: key of `CIFARS`.
        root: folder of the files, or its parent.
        bad: takes unreadable pictures (only Parquet holds pictures that can be unreadable).
        download: fetch the Python batches if nothing is there.

    Raises:
        DataError: if nothing is there, or it is incomplete or damaged.
    """
    cifar = CIFARS[name]
    places = candidates(root, name)
    source = _first(cifar, places, bad)
    if source is None and download:
        fetch_archive(cifar.title, cifar.url, md5=cifar.archive_md5, into=places[0])
        source = _first(cifar, places, bad)
    if source is None:
        archive = cifar.url.rpartition("/")[2]
        packed = next((place / archive for place in places if (place / archive).is_file()), None)
        remedy = (
            f"{packed} is there but packed: run tar -xzf {archive} in its folder."
            if packed
            else f"Pass download=True, or unpack {cifar.url} there."
        )
        layouts = (f"{cifar.python}/{cifar.train[0]}", f"{cifar.binary}/{cifar.binary_train[0]}", "train-*.parquet")
        raise missing(cifar.title, places, layouts, remedy=remedy)
    return source


def _first(cifar: Cifar, places: tuple[Path, ...], bad: UnreadableImages) -> Source | None:
    for place in places:
        for folder in (place / cifar.python, place):
            if any((folder / file).is_file() for file in (*cifar.train, *cifar.test)):
                return _read_python(cifar, folder)
        for folder in (place / cifar.binary, place):
            if any((folder / file).is_file() for file in (*cifar.binary_train, *cifar.binary_test)):
                return _read_binary(cifar, folder)
        for folder in (place, place / "data"):
            if shards := find_shards(folder):
                return _read_parquet(cifar, folder, shards, bad)
    return None


def _read_python(cifar: Cifar, folder: Path) -> Source:
    _complete(cifar, folder, (*cifar.train, *cifar.test))
    differing = [file for file, md5 in cifar.md5.items() if _md5(folder / file) != md5]
    notes = (f"{folder}: not the published files (MD5): {', '.join(differing)}",) if differing else ()
    classes = cifar.classes
    if (folder / cifar.meta).is_file():
        names = read_pickle(folder / cifar.meta).get(cifar.names)
        classes = tuple(_text(name) for name in names) if isinstance(names, list) else classes
    train, test = (_rows(cifar, folder, files, _python_batch) for files in (cifar.train, cifar.test))
    return Source(_checked(cifar, classes, folder), train, test, notes)


def _read_binary(cifar: Cifar, folder: Path) -> Source:
    _complete(cifar, folder, (*cifar.binary_train, *cifar.binary_test))
    train, test = (_rows(cifar, folder, files, _binary_batch) for files in (cifar.binary_train, cifar.binary_test))
    return Source(cifar.classes, train, test)


def _read_parquet(cifar: Cifar, folder: Path, shards: dict[str, tuple[Path, ...]], bad: UnreadableImages) -> Source:
    for split in ("train", "test"):
        if split not in shards:
            raise DataError(
                f"{folder} has {', '.join(sorted(shards))} shards, {cifar.title} needs train and test; "
                f"copy {split}-*.parquet there too."
            )
    train, names = read_shards(shards["train"])
    test, _ = read_shards(shards["test"])
    parts = [decode_all(part, size=(_SIDE, _SIDE), bad=bad) for part in (train, test)]
    return Source(_checked(cifar, names or cifar.classes, folder), parts[0], parts[1])


def _checked(cifar: Cifar, classes: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    if len(classes) != len(cifar.classes):
        raise DataError(
            f"{folder} names {len(classes)} classes, {cifar.title} has {len(cifar.classes)}; this is another set, give "
            "its own name or folder."
        )
    return classes


def _complete(cifar: Cifar, folder: Path, files: tuple[str, ...]) -> None:
    absent = [file for file in files if not (folder / file).is_file()]
    if absent:
        raise DataError(
            f"{folder} is half a {cifar.title}: {', '.join(absent)} missing of {len(files)} files; copy the rest, or "
            f"unpack {cifar.url} again."
        )


Rows = tuple[UInt8[np.ndarray, "m 3072"], list[int]]


def _rows(cifar: Cifar, folder: Path, files: tuple[str, ...], read: Callable[[Cifar, Path], Rows]) -> Pixels:
    pixels, labels = zip(*(read(cifar, folder / file) for file in files), strict=True)
    images = torch.from_numpy(np.concatenate(pixels)).view(-1, 3, _SIDE, _SIDE)
    return Pixels(images, torch.tensor([label for batch in labels for label in batch], dtype=torch.int64))


def _python_batch(cifar: Cifar, path: Path) -> Rows:
    batch = read_pickle(path)
    data, labels = batch.get("data"), batch.get(cifar.label)
    if isinstance(labels, np.ndarray):
        labels = labels.tolist()
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.ndim != 2
        or data.shape[1] != _PIXELS
        or not isinstance(labels, list)
        or not all(isinstance(label, int) for label in labels)
        or len(labels) != len(data)
    ):
        raise DataError(
            f"{path} is no {cifar.title} batch: it needs 'data' (bytes, rows of {_PIXELS}) and "
            f"'{cifar.label}' (a whole number for each row); copy the published file."
        )
    return data, labels


def _binary_batch(cifar: Cifar, path: Path) -> Rows:
    row = cifar.label_bytes + _PIXELS
    size = path.stat().st_size
    if size == 0 or size % row:
        raise DataError(f"{path} has {size} bytes, no multiple of the {row} of a {cifar.title} row; copy it again.")
    rows = np.fromfile(path, dtype=np.uint8).reshape(-1, row)
    return np.ascontiguousarray(rows[:, cifar.label_bytes :]), rows[:, cifar.label_bytes - 1].tolist()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
