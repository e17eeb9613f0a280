"""Detect which data set a folder holds, and identify a folder of images, before any image is read."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from senet.data.cifar_files import CIFARS
from senet.data.folder_tree import READ, class_folders, is_of_a_tool
from senet.data.parquet import class_names_of, find_shards
from senet.data.svhn import SVHN_FILES
from senet.errors import DataError

__all__ = ["identity", "recognise"]

_DIGITS = 8
_LONGEST = 60


def recognise(root: Path) -> str:
    """Return the name of the data set in a folder.

    Returns:
        A name of `DATASETS`.

    Raises:
        DataError: if the folder does not exist, or holds no known data set.
    """
    if not root.is_dir():
        raise DataError(f"--data-dir {root} is not a folder; name the folder of the images.")
    for name, cifar in CIFARS.items():
        # CIFAR-100's Python files are called train and test, like the splits of a folder
        folders = [place / part for place in (root, root / name) for part in (cifar.python, cifar.binary, "")]
        files = (*cifar.train, *cifar.binary_train)
        if any((folder / file).is_file() for folder in folders for file in files):
            return name
    if any((place / file).is_file() for place in (root, root / "svhn") for file in SVHN_FILES):
        return "svhn"
    for place in (root, root / "data"):
        if shards := find_shards(place).get("train"):
            names = set(class_names_of(shards[0]) or ())
            return next((name for name, cifar in CIFARS.items() if names == set(cifar.classes)), "folder")
    if class_folders(root) or find_shards(root) or find_shards(root / "data"):
        return "folder"
    raise DataError(
        f"--data-dir {root} holds no known data set: no class folders, no train and val, no Parquet shards, no "
        "files of CIFAR or SVHN; name the folder of the images, or the data set by --data."
    )


def identity(root: Path) -> str:
    """Return an identity of a folder of images: its name, and a digest of the names and sizes of its files.

    It does not depend on the path of the folder.

    Returns:
        `NAME-DIGITS`, for `DataSpec.folder`.
    """
    total = hashlib.sha256()
    for name, size in _pictures(root, ""):
        total.update(f"{name!r} {size}\n".encode())
    title = re.sub(r"[^\w.-]+", "-", root.resolve().name).strip(".-")[:_LONGEST] or "folder"
    return f"{title}-{total.hexdigest()[:_DIGITS]}"


def _pictures(folder: Path, place: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{place}{entry.name}"
        try:
            if entry.is_dir(follow_symlinks=not place.count("/")):  # follows links to classes, but no cycles
                if not is_of_a_tool(entry.name):
                    yield from _pictures(Path(entry.path), f"{name}/")
            elif entry.name.lower().endswith((*READ, ".parquet")):
                yield name, entry.stat().st_size
        except OSError:  # a broken link, which `load` reports
            yield name, -1
