"""Which set a folder holds, and which folder of images it is: what the command line asks before it reads images."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from senet.data.cifar_files import CIFARS
from senet.data.parquet import class_names_of, find_shards
from senet.data.svhn import SVHN_FILES
from senet.data.walk import READ, class_folders, is_of_a_tool
from senet.errors import DataError

__all__ = ["identity", "recognise"]

_DIGITS = 8
_LONGEST = 60


def recognise(root: Path) -> str:
    """Return the name of the set that lies in a folder.

    Args:
        root: as given for `--data-dir`.

    Returns:
        A name of `DATASETS`.

    Raises:
        DataError: if the folder does not exist, or nothing in it that is a set.
    """
    if not root.is_dir():
        raise DataError(f"--data-dir {root} is not a folder; give the one where the images lie.")
    for name, cifar in CIFARS.items():
        # CIFAR-100's Python files are called train and test, as the splits of a folder are
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
        f"--data-dir {root} holds no images that are known: no class folders, no train and val, no Parquet shards, no "
        "files of CIFAR or SVHN; give the folder of the images, or name the set by --data."
    )


def identity(root: Path) -> str:
    """Name a folder of images, and tell it from others of that name by the names and sizes of its pictures.

    Where it lies is not part of it.

    Args:
        root: the folder.

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
            if entry.is_dir(follow_symlinks=not place.count("/")):  # links to classes, and no ring of links
                if not is_of_a_tool(entry.name):
                    yield from _pictures(Path(entry.path), f"{name}/")
            elif entry.name.lower().endswith((*READ, ".parquet")):
                yield name, entry.stat().st_size
        except OSError:  # a broken link, which `load` names
            yield name, -1
