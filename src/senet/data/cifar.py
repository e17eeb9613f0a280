"""CIFAR-10 and CIFAR-100 in the three layouts people have: Python batches, binary batches, Parquet shards."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from senet.data.cifar_files import CIFARS, Cifar
from senet.data.decoding import UnreadableImages, decode_all
from senet.data.download import fetch_archive
from senet.data.parquet import find_shards, read_shards
from senet.data.places import candidates, missing
from senet.data.source import Pixels, Source
from senet.data.unpickle import read_pickle
from senet.errors import DataError

__all__ = ["read_cifar"]

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE


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
            else f"Give its folder (--data-dir), fetch it (--download), or unpack {cifar.url} there."
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
    notes = (f"{folder.name}: not the published files (MD5): {', '.join(differing)}",) if differing else ()
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
