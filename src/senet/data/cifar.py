"""Read CIFAR-10 and CIFAR-100 from Python batches, binary batches or Parquet shards."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from senet.data.cifar_files import CIFARS, Cifar
from senet.data.dataset import Data
from senet.data.dataset_paths import candidates, differing, ensure_plain, missing
from senet.data.download import fetch_archive
from senet.data.image_checks import UnreadableImages, decode_all
from senet.data.labels import class_names, renumbered, whole_numbers
from senet.data.parquet import find_shards, read_shards
from senet.data.resize_crop import Frame
from senet.data.tensor_split import Tensors
from senet.data.unpickle import read_pickle
from senet.errors import DataError
from senet.experiments.data_spec import DataSpec

__all__ = ["read_binary_batch", "read_cifar", "read_python_batch"]

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE


def read_cifar(spec: DataSpec, root: Path | None, *, bad: UnreadableImages, download: bool) -> Data:
    """Read the data set from the first layout found: Python batches, binary batches, Parquet.

    Any number of rows is accepted, so that a subset works. Python files that differ from the published ones are named
    in a note: they may be a subset, have noisy labels, or be damaged.

    Raises:
        DataError: if no layout is found, or it is incomplete or damaged.
    """
    cifar = CIFARS[spec.name]
    places = candidates(root, spec.name)
    found = _first(cifar, places, bad)
    if found is None and download:
        fetch_archive(cifar.title, cifar.url, md5=cifar.archive_md5, into=places[0])
        found = _first(cifar, places, bad)
    if found is None:
        archive = cifar.url.rpartition("/")[2]
        packed = next((place / archive for place in places if (place / archive).is_file()), None)
        remedy = (
            f"{packed} is still packed: run tar -xzf {archive} in its folder."
            if packed
            else f"Name its folder (--data-dir), download it (download=true), or unpack {cifar.url} there."
        )
        layouts = (f"{cifar.python}/{cifar.train[0]}", f"{cifar.binary}/{cifar.binary_train[0]}", "train-*.parquet")
        raise missing(cifar.title, places, layouts, remedy=remedy)
    classes, train, test, notes = found
    return Data(spec, classes, train, test, notes=notes)


Found = tuple[tuple[str, ...], Tensors, Tensors, tuple[str, ...]]


def _first(cifar: Cifar, places: Sequence[Path], bad: UnreadableImages) -> Found | None:
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


def _read_python(cifar: Cifar, folder: Path) -> Found:
    _complete(cifar, folder, (*cifar.train, *cifar.test))
    classes = cifar.classes
    if (folder / cifar.meta).is_file():
        names = read_pickle(folder / cifar.meta).get(cifar.names, cifar.classes)
        if isinstance(names, list):
            names = [name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name for name in names]
        classes = _checked(cifar, names, folder)
    train, test = (_rows(cifar, folder, files, read_python_batch) for files in (cifar.train, cifar.test))
    return classes, train, test, differing(folder, cifar.md5)


def _read_binary(cifar: Cifar, folder: Path) -> Found:
    _complete(cifar, folder, (*cifar.binary_train, *cifar.binary_test))
    train, test = (_rows(cifar, folder, files, read_binary_batch) for files in (cifar.binary_train, cifar.binary_test))
    return cifar.classes, train, test, ()


def _read_parquet(cifar: Cifar, folder: Path, shards: dict[str, tuple[Path, ...]], bad: UnreadableImages) -> Found:
    for split in ("train", "test"):
        if split not in shards:
            raise DataError(
                f"{folder} has {', '.join(sorted(shards))} shards, {cifar.title} needs train and test; "
                f"copy {split}-*.parquet there too."
            )
    train, names = read_shards(shards["train"])
    test, other = read_shards(shards["test"])
    names = _checked(cifar, names or other or cifar.classes, folder)
    # the standard names in another order are still the standard classes
    classes = cifar.classes if set(names) == set(cifar.classes) else names
    frame = Frame(_SIDE, _SIDE)
    parts = []
    for part, own, place in ((train, names, "train"), (test, other or names, "test")):
        labels = renumbered(part.labels, own, classes, place=f"{cifar.title.replace('-', '').lower()} {place}")
        decoded = decode_all(replace(part, labels=labels, frame=frame), bad=bad)
        parts.append(Tensors(decoded.images, decoded.labels))
    return classes, parts[0], parts[1], ()


def _checked(cifar: Cifar, names: object, folder: Path) -> tuple[str, ...]:
    classes = class_names(names, place=str(folder))
    if len(classes) != len(cifar.classes):
        raise DataError(
            f"{folder} names {len(classes)} classes, {cifar.title} has {len(cifar.classes)}; this is another data set, "
            "load it by its own name, or as a folder."
        )
    return classes


def _complete(cifar: Cifar, folder: Path, files: tuple[str, ...]) -> None:
    absent = [file for file in files if not (folder / file).is_file()]
    if absent:
        raise DataError(
            f"{folder} is an incomplete {cifar.title}: {', '.join(absent)} missing of {len(files)} files; copy the "
            f"rest, or unpack {cifar.url} again."
        )


Rows = tuple[UInt8[np.ndarray, "m 3072"], Int64[Tensor, " m"]]


def _rows(cifar: Cifar, folder: Path, files: tuple[str, ...], read: Callable[[Cifar, Path], Rows]) -> Tensors:
    pixels, labels = zip(*(read(cifar, folder / file) for file in files), strict=True)
    return Tensors(torch.from_numpy(np.concatenate(pixels)).view(-1, 3, _SIDE, _SIDE), torch.cat(labels))


def read_python_batch(cifar: Cifar, path: Path) -> Rows:
    """Read one pickled batch: rows of pixels, and labels.

    Raises:
        DataError: if it is not such a batch.
    """
    batch = read_pickle(path)
    data, labels = batch.get("data"), batch.get(cifar.label)
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.ndim != 2
        or data.shape[1] != _PIXELS
        or not (isinstance(labels, list) or (isinstance(labels, np.ndarray) and labels.ndim == 1))
        or len(labels) != len(data)
    ):
        raise DataError(
            f"{path} is not a valid {cifar.title} batch: it needs 'data' (bytes, rows of {_PIXELS}) and "
            f"'{cifar.label}' (an integer for each row); copy the published file."
        )
    return data, whole_numbers(labels, place=str(path))


def read_binary_batch(cifar: Cifar, path: Path) -> Rows:
    """Read one binary batch: rows of pixels, and labels.

    Raises:
        DataError: if it does not consist of whole rows.
    """
    row = cifar.label_bytes + _PIXELS
    size = ensure_plain(path)
    if size == 0 or size % row:
        raise DataError(f"{path} has {size} bytes, not a multiple of the {row} of a {cifar.title} row; copy it again.")
    rows = np.fromfile(path, dtype=np.uint8).reshape(-1, row)
    return np.ascontiguousarray(rows[:, cifar.label_bytes :]), torch.from_numpy(rows[:, cifar.label_bytes - 1]).long()
