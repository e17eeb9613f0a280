"""Where data may lie, what a missing set's message says, and the packages a reader needs."""

import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from senet.errors import DataError, UsageError

__all__ = ["candidates", "missing", "need"]


def candidates(root: Path | None, name: str) -> tuple[Path, ...]:
    """List the folders to look in.

    Args:
        root: folder of the set or its parent; `None` stands for `$SENET_DATA`, and without that for `data`.
        name: of the set, e.g. `cifar10`.

    Returns:
        Absolute paths: the folder itself, then its child `name`.
    """
    root = Path(os.environ.get("SENET_DATA") or "data") if root is None else root
    root = root.expanduser().absolute()
    return root, root / name


def missing(name: str, places: Iterable[Path], layouts: Iterable[str], *, remedy: str) -> DataError:
    """Make the error for a set that is not there: what was looked for, where, how to get it."""
    where = " or ".join(str(place) for place in places)
    return DataError(f"{name} not found in {where}; looked for {'; '.join(layouts)}. {remedy}")


def need(module: str, *, package: str, purpose: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        module: dotted name, e.g. `pyarrow.parquet`.
        package: what to install, as users know it.
        purpose: what cannot be done without it, e.g. `reading Parquet`.

    Raises:
        UsageError: if the package is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"{purpose} needs {package}; run: pip install 'senet[data]'.") from error
