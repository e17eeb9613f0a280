"""Files that are either the old ones or the new ones, whatever stops the process.

A file is written beside its place, forced to the disk and moved over the old one; the folder is forced to the
disk too, because the move itself lives there. Every failure of the disk is a `StorageError` in plain words.

Failpoints are named places where a test can stop the process with SIGKILL: `SENET_FAILPOINT=mid_write:3` stops
the third time that `failpoint("mid_write")` is reached.
"""

import contextlib
import errno
import json
import os
import secrets
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from senet.errors import StorageError

__all__ = [
    "append_line",
    "ensure_writable",
    "failpoint",
    "storage_error",
    "sync_folder",
    "write_bytes",
    "write_json",
    "write_synced",
    "write_text",
]

# What the disk said, and what to do about it.
_CAUSES: dict[int | None, tuple[str, str]] = {
    errno.ENOSPC: ("no space left on the disk", "free space or choose another folder"),
    errno.EDQUOT: ("no space left in your disk quota", "free space or choose another folder"),
    errno.EFBIG: ("no space left under the file size limit", "raise the limit (ulimit -f) or choose another disk"),
    errno.EROFS: ("the disk is mounted read-only", "choose a folder that can be written"),
    errno.EACCES: ("permission denied", "choose a folder that you may write"),
    errno.EPERM: ("permission denied", "choose a folder that you may write"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another folder"),
    errno.EEXIST: ("there is a file where a folder is needed", "choose another folder"),
    errno.ENOENT: ("the folder is missing", "create it"),
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_reached: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Kill this process here when `SENET_FAILPOINT` says so: `name`, or `name:n` for the n-th time [1].

    Args:
        name: the place, as the module that owns it lists it.
    """
    wanted = os.environ.get("SENET_FAILPOINT")
    if not wanted:
        return
    place, _, count = wanted.partition(":")
    if place == name:
        _reached[name] += 1
        if _reached[name] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)


def storage_error(path: Path, cause: OSError, *, needed: int | None = None) -> StorageError:
    """Make the error for something that the disk refused.

    Args:
        path: the file or folder that was to be written.
        cause: what the system said.
        needed: size of the data [bytes]; None: unknown or not the point.

    Returns:
        An error with the number of the cause (`errno`), to be raised from it.
    """
    why, way_out = _CAUSES.get(cause.errno, (cause.strerror or str(cause), "check the disk"))
    size = "" if needed is None else f" {needed:,} bytes"
    free = ""
    if cause.errno in _FULL:
        with contextlib.suppress(OSError):
            free = f" ({shutil.disk_usage(_nearest_folder(path)).free:,} bytes free)"
    error = StorageError(f"{path}: cannot write{size}: {why}{free}; {way_out}.")
    error.errno = cause.errno
    return error


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Put `data` in the place of the file `path`: afterwards it holds all of the new bytes or all of the old ones.

    A link is followed; the folder must exist.

    Args:
        path: the file to make or replace.
        data: its new content.

    Raises:
        StorageError: if the disk refuses; no stray file is left, and the old one is whole.
    """
    target = path.resolve()
    # The name of the stray says nothing of the target's, which may have the greatest length allowed.
    stray = target.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        try:
            write_synced(stray, data)
            failpoint("before_replace")
            stray.replace(target)
            failpoint("after_replace")
            sync_folder(target.parent)
        except BaseException:
            stray.unlink(missing_ok=True)
            raise
    except OSError as cause:
        raise storage_error(path, cause, needed=len(data)) from cause


def write_text(path: Path, text: str) -> None:
    """Put `text` in the place of the file `path`, in UTF-8 and as safely as `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, obj: Any) -> None:
    """Put `obj` in the place of the file `path` as indented JSON, as safely as `write_bytes`.

    Raises:
        ValueError: if a number is not finite: that would not be JSON.
        StorageError: if the disk refuses.
    """
    write_text(path, json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    r"""Add one line to a log, whole or not at all; the kernel writes it to the disk in its own time.

    Args:
        path: the file, made when it is missing.
        line: the text without its end of line.

    Raises:
        StorageError: if the disk refuses; what was written of the line is taken back.
    """
    data = (line + "\n").encode("utf-8")
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            size = os.fstat(file).st_size
            try:
                written = os.write(file, data)
                if written < len(data):
                    os.write(file, data[written:])  # the second attempt says why the first one stopped
            except OSError:
                os.ftruncate(file, size)
                raise
        finally:
            os.close(file)
    except OSError as cause:
        raise storage_error(path, cause, needed=len(data)) from cause


def ensure_writable(folder: Path) -> None:
    """Make the folder when it is missing, and prove by a trial that files can be written there.

    The permission bits prove nothing: root may write against them, and nobody on a read-only disk.

    Args:
        folder: where a run is going to write.

    Raises:
        StorageError: if it cannot be made or written.
    """
    trial = folder / f".tmp-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            write_synced(trial, b"senet was here\n")
        finally:
            trial.unlink(missing_ok=True)
    except OSError as cause:
        raise storage_error(folder, cause) from cause


def write_synced(path: Path, data: bytes | memoryview) -> None:
    """Write a file that does not exist yet and force it to the disk; an `OSError` passes as it is.

    For files in a folder that is itself moved into place; elsewhere `write_bytes` is the right one.
    """
    view = memoryview(data)
    half = len(view) // 2
    with path.open("xb") as file:
        file.write(view[:half])
        if "SENET_FAILPOINT" in os.environ:
            file.flush()
            failpoint("mid_write")
        file.write(view[half:])
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk; an `OSError` passes as it is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as cause:
        if cause.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot sync a folder
            raise
    finally:
        os.close(handle)


def _nearest_folder(path: Path) -> Path:
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path())
