"""The user's cache folder, for values that can be computed again; other users must not be able to write to it.

The folder is `$XDG_CACHE_HOME/senet`, or `~/.cache/senet`. It is used only if it belongs to this user, no other user
can write to it, and it is not a link.

Source:
    XDG Base Directory Specification: a relative `$XDG_CACHE_HOME` is invalid and ignored.
"""

import contextlib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["folder", "is_private", "recall", "remember", "settle"]

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def folder() -> Path | None:
    """Return the cache folder, created if it is missing; None if other users can write to it."""
    asked = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(asked) if Path(asked).is_absolute() else Path.home() / ".cache"
        base.mkdir(parents=True, exist_ok=True)
        place = base / "senet"
        place.mkdir(mode=0o700, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    return place if is_private(place) else None


def is_private(path: Path) -> bool:
    """Return whether only this user (or root) can have written or replaced a file or folder.

    Args:
        path: an absolute path. It and its parents must not be writable by others (a sticky folder such as `/tmp` may
            be a parent), it must belong to this user, and it must be a regular file or a folder, not a link.
    """
    if not hasattr(os, "getuid"):  # Windows: a profile is private by its access lists
        return path.exists() and not path.is_symlink()
    try:
        own = path.lstat()
        if not (stat.S_ISREG(own.st_mode) or stat.S_ISDIR(own.st_mode)):
            return False
        if own.st_uid != os.getuid() or own.st_mode & OTHERS_WRITE:
            return False
        return all(_is_trusted(parent.stat()) for parent in path.resolve().parents) and _has_own_links(path)
    except OSError:
        return False


def _is_trusted(parent: os.stat_result) -> bool:
    """Return whether only this user and root can replace this user's files in a folder."""
    if parent.st_uid not in (0, os.getuid()):
        return False
    return not parent.st_mode & OTHERS_WRITE or bool(parent.st_mode & stat.S_ISVTX)


def _has_own_links(path: Path) -> bool:
    """Return whether every link in a path belongs to this user or to root."""
    return all(parent.lstat().st_uid in (0, os.getuid()) for parent in path.parents if parent.is_symlink())


def remember(name: str, value: Any) -> None:
    """Store a value for other processes of this user, if there is a cache folder."""
    _write(name, value, Path.replace)


def settle(name: str, value: Any) -> Any:
    """Store a value unless another process has stored one, so that all processes of this user have the same.

    Returns:
        The stored value, that of the first process; None if nothing can be stored.
    """
    if recall(name) is None and (place := folder()) is not None:
        with contextlib.suppress(OSError):
            if (place / f"{name}.json").exists():  # damaged, or writable by others
                (place / f"{name}.json").unlink()
        _write(name, value, lambda stray, target: target.hardlink_to(stray))  # fails where there is one
    return recall(name)


def _write(name: str, value: Any, put: Callable[[Path, Path], object]) -> None:
    """Write a temporary file and move it to its place by `put`."""
    place = folder()
    if place is None:
        return
    text = json.dumps({"sha256": _digest(value), "value": value}, allow_nan=False)
    stray = place / f".tmp-{secrets.token_hex(8)}"
    with contextlib.suppress(OSError):  # a full or read-only cache is not an error
        try:
            stray.write_text(text, encoding="utf-8")
            put(stray, place / f"{name}.json")
        finally:
            stray.unlink(missing_ok=True)


def recall(name: str) -> Any:
    """Return the value that `remember` stored; None if there is none, it is damaged, or other users can write it."""
    place = folder()
    if place is None or not is_private(place / f"{name}.json"):
        return None
    try:
        kept = json.loads((place / f"{name}.json").read_text(encoding="utf-8"))
        return kept["value"] if kept["sha256"] == _digest(kept["value"]) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
