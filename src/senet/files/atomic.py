"""Write files atomically: after a crash, a file has either its old or its new content.

The content is written to a temporary file, synced to the disk and renamed; the folder is synced too, because it holds
the name. Every failure of the disk is a `StorageError`.

Failpoints are named lines at which a test can kill the process: `SENET_FAILPOINT=mid_write:3` kills it the third time
that it calls `failpoint("mid_write")`.
"""

import contextlib
import errno
import json
import os
import secrets
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from senet.errors import StorageError

__all__ = [
    "append_line",
    "ensure_writable",
    "failpoint",
    "not_ours",
    "staged",
    "staged_folder",
    "storage_error",
    "sync_folder",
    "write_bytes",
    "write_json",
    "write_synced",
    "write_text",
]

# by number of the system's error: description, and what to do
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
    """Kill this process if `SENET_FAILPOINT` is `name`, or `name:n` at the n-th call."""
    wanted = os.environ.get("SENET_FAILPOINT")
    if not wanted:
        return
    place, _, count = wanted.partition(":")
    if place == name:
        _reached[name] += 1
        if _reached[name] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)


def storage_error(path: Path, cause: OSError, *, needed: int | None = None) -> StorageError:
    """Return the error for a file or folder that could not be written.

    Args:
        path: the file or folder.
        cause: the error of the system.
        needed: size of the data [bytes]; None if it is unknown.

    Returns:
        An error with the `errno` of the cause, to be raised from it.
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
    """Write a file atomically; links are followed, and the folder must exist.

    Raises:
        StorageError: if it cannot be written; no temporary file remains, and the old content is intact.
    """
    target = path.resolve()
    # not derived from the target's name, which may have the maximum length
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
    """Write a text file in UTF-8 atomically, see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, obj: Any) -> None:
    """Write a file of indented JSON atomically, see `write_bytes`.

    Raises:
        ValueError: if a number is not finite, which JSON does not allow.
        StorageError: if the file cannot be written.
    """
    write_text(path, json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Write a file, and files beside it, in a temporary folder of the same disk, and move them at the end.

    The file itself is moved last, so that the others are there when it is. If the context raises, nothing is moved.

    Args:
        path: the file to create or replace; its folder must exist.

    Yields:
        The path to write to, with the same name; further files go beside it.

    Raises:
        StorageError: if the files cannot be written; no temporary file remains, and the old content is intact.
    """
    target = path.resolve()
    with _staged(target.parent, path, last=target.name) as folder:
        yield folder / target.name


@contextlib.contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Write the files of a folder in a temporary folder of the same disk, and move them at the end.

    Files of the folder that are not written stay. If the context raises, nothing is moved, and the folder is not
    created.

    Args:
        folder: the folder to create or change; it must have a parent folder.

    Yields:
        The folder to write to.

    Raises:
        StorageError: if the files cannot be written; no temporary file remains, and the old content is intact.
    """
    target = folder.resolve()
    ensure_writable(target if target.exists() else target.parent)
    with _staged(target, folder, last="") as place:
        yield place


@contextlib.contextmanager
def _staged(target: Path, named: Path, *, last: str) -> Iterator[Path]:
    """Yield a temporary folder on the disk of a folder, and move its files there at the end, one of them last."""
    try:
        place = Path(tempfile.mkdtemp(prefix=".tmp-", dir=target if target.is_dir() else target.parent))
        try:
            yield place
            target.mkdir(exist_ok=True)
            for file in sorted(place.iterdir(), key=lambda one: one.name == last):
                with file.open("rb") as written:
                    os.fsync(written.fileno())
                failpoint("before_replace")
                file.replace(target / file.name)
            sync_folder(target)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as cause:
        if isinstance(cause, StorageError):
            raise
        raise storage_error(named, cause) from cause


def append_line(path: Path, line: str) -> None:
    """Append one line to a file, completely or not at all, without syncing it to the disk.

    Raises:
        StorageError: if it cannot be written; a partial line is removed.
    """
    data = (line + "\n").encode("utf-8")
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            size = os.fstat(file).st_size
            try:
                written = os.write(file, data)
                if written < len(data):
                    os.write(file, data[written:])  # raises the error that ended the first attempt
            except OSError:
                os.ftruncate(file, size)
                raise
        finally:
            os.close(file)
    except OSError as cause:
        raise storage_error(path, cause, needed=len(data)) from cause


def ensure_writable(folder: Path) -> None:
    """Create a folder if it is missing, and check by a temporary file that it can be written.

    Permission bits are not reliable: root ignores them, and so does a read-only disk.

    Raises:
        StorageError: if it cannot be created or written.
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


def not_ours(path: Path) -> StorageError:
    """Return the error for a file that senet did not write, and that an output would replace."""
    return StorageError(f"{path} was not written by senet and would be lost; choose another folder, or move the file.")


def write_synced(path: Path, data: bytes | memoryview) -> None:
    """Write a new file and sync it to the disk, not atomically; raises `OSError`."""
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
    """Sync the names in a folder to the disk; raises `OSError`."""
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
