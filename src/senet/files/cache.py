"""The user's cache folder: what a machine can compute again, and nothing that another user could have put there.

The folder is `$XDG_CACHE_HOME/senet`, or `~/.cache/senet`. It is used only if it belongs to this user, nobody else may
write to it and no link leads to it; otherwise nothing is read from it and nothing is written to it.

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
    """Return the cache folder, made if it is missing; None where there is none that only this user can write to."""
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
    """Return whether only this user could have written a file or folder, and whoever could have replaced it.

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
    """Return whether nobody but this user and root can replace what lies in a folder and belongs to this user."""
    if parent.st_uid not in (0, os.getuid()):
        return False
    return not parent.st_mode & OTHERS_WRITE or bool(parent.st_mode & stat.S_ISVTX)


def _has_own_links(path: Path) -> bool:
    """Return whether every link on the way to a path belongs to this user or to root."""
    return all(parent.lstat().st_uid in (0, os.getuid()) for parent in path.parents if parent.is_symlink())


def remember(name: str, value: Any) -> None:
    """Keep a value for other processes of this user; without a cache folder nothing happens.

    Args:
        name: of a file in the cache, without its suffix.
        value: anything that JSON holds.
    """
    _write(name, value, Path.replace)


def settle(name: str, value: Any) -> Any:
    """Keep a value unless another process has kept one, so that all processes of this user have the same.

    Returns:
        What is kept now: `value`, or that of the process that came first; None if nothing can be kept.
    """
    if recall(name) is None and (place := folder()) is not None:
        with contextlib.suppress(OSError):
            if (place / f"{name}.json").exists():  # damaged, or written by others
                (place / f"{name}.json").unlink()
        _write(name, value, lambda stray, target: target.hardlink_to(stray))  # fails where there is one
    return recall(name)


def _write(name: str, value: Any, put: Callable[[Path, Path], object]) -> None:
    """Write a file beside its place and put it there."""
    place = folder()
    if place is None:
        return
    text = json.dumps({"sha256": _digest(value), "value": value}, allow_nan=False)
    stray = place / f".tmp-{secrets.token_hex(8)}"
    with contextlib.suppress(OSError):  # a full or read-only cache must not end the work
        try:
            stray.write_text(text, encoding="utf-8")
            put(stray, place / f"{name}.json")
        finally:
            stray.unlink(missing_ok=True)


def recall(name: str) -> Any:
    """Return what `remember` kept under a name; None if there is nothing, it is damaged, or others could write it."""
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
