"""Folders to search for a data set, checks of its files, and imports of the packages that readers need."""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from senet.errors import DataError, not_installed

__all__ = ["LARGEST_FILE", "candidates", "differing", "ensure_plain", "missing", "need", "read_bytes"]

LARGEST_FILE = 2**30
"""Maximum size of a file of CIFAR or SVHN [bytes]; the largest published one has 182 MB."""


def candidates(root: Path | None, name: str) -> tuple[Path, ...]:
    """Return the folders to search for a data set.

    Args:
        root: folder of the data set or its parent; None stands for `$SENET_DATA`, and without that for `data`.
        name: of the data set, e.g. `cifar10`.

    Returns:
        Absolute paths: the folder itself, then its child `name`.
    """
    root = Path(os.environ.get("SENET_DATA") or "data") if root is None else root
    root = root.expanduser().absolute()
    return root, root / name


def missing(name: str, places: Iterable[Path], layouts: Iterable[str], *, remedy: str) -> DataError:
    """Return the error for a data set that was not found: which files, in which folders, how to get it."""
    where = " or ".join(str(place) for place in places)
    return DataError(f"{name} not found in {where}; looked for {'; '.join(layouts)}. {remedy}")


def ensure_plain(path: Path, *, largest: int = LARGEST_FILE) -> int:
    """Return the size of a regular file [bytes].

    Raises:
        DataError: if it is a pipe, a socket or a device, is too large, or cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; repair the link, or copy the file again.") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path} is not a regular file; copy the published file.")
    if status.st_size > largest:
        raise DataError(f"{path} has {status.st_size:,} bytes; files of up to {largest:,} are read into memory.")
    return status.st_size


def read_bytes(path: Path) -> bytes:
    """Read a whole file; raises the errors of `ensure_plain`."""
    ensure_plain(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def differing(folder: Path, published: Mapping[str, str]) -> tuple[str, ...]:
    """Return a note on the files that differ from the published ones."""
    others = [file for file, md5 in published.items() if _md5(folder / file) != md5]
    return (f"{folder.name}: not the published files (MD5): {', '.join(others)}",) if others else ()


def _md5(path: Path) -> str:
    ensure_plain(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def need(module: str, *, package: str, purpose: str) -> ModuleType:
    """Import a module of an optional package.

    Raises:
        UsageError: if the package is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise not_installed(purpose, package, extra="data") from error
