"""One run for each folder, also after `kill -9`.

The lock is the kernel's (`flock`): it ends with the process that holds it, however that ends. The text in the
file is only there to say who that is.
"""

import errno
import fcntl
import os
import re
import socket
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType

from senet.errors import StorageError
from senet.files.atomic import storage_error
from senet.text import one_line

__all__ = ["InUse", "RunLock", "holder", "waited"]


class InUse(StorageError):  # noqa: N818 (it may be no error: whoever asked can wait)
    """A folder in which another process trains."""


LOOK = 0.5  # seconds between two attempts to take a lock that is waited for
LONGEST_NAME = 200  # bytes of the lock file that are quoted
PATIENCE = 10.0  # seconds that a fork of a killed run has to give up its copy of the lock: milliseconds if not stalled

_held: set[int] = set()


class RunLock:
    """Keep a second run out of a folder: `with RunLock(folder): ...`.

    The file `run.lock` stays when the lock is given back: removing it would let two runs hold two files of one name.
    What bears this name and is not a plain file of its own is refused, unchanged.

    Args:
        folder: the folder of the run; it must exist when the lock is taken.

    Raises:
        InUse: on entering, if another run holds the folder.
        StorageError: on entering, if the disk refuses.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "run.lock"
        self._handle: int | None = None

    def __enter__(self) -> "RunLock":
        handle = self._open()
        try:
            self._lock(handle)
            self._check(handle)
            os.ftruncate(handle, 0)
            since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()} since {since}".encode(), 0)
        except BaseException as cause:
            os.close(handle)
            if isinstance(cause, OSError) and not isinstance(cause, StorageError):
                raise storage_error(self.path, cause) from cause
            raise
        _held.add(handle)
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle in _held:  # not in a forked worker
            _held.remove(self._handle)
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
        self._handle = None

    @property
    def held(self) -> bool:
        """Whether this object holds the folder."""
        return self._handle is not None

    def check(self) -> None:
        """Check, before anything is written, that the folder is still the one that is held.

        Raises:
            StorageError: if it was moved, removed or replaced meanwhile: another process could hold the one of its
                name.
        """
        if self._handle is not None:
            self._check(self._handle)

    def _check(self, handle: int) -> None:
        try:
            there = self.path.lstat()
        except OSError:
            there = None
        if there is None or not os.path.samestat(there, os.fstat(handle)):
            raise StorageError(
                f"{self.folder} was moved, removed or replaced while a run held it; bring the folder back and start "
                "the same command again."
            )

    def _open(self) -> int:
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as cause:
            if cause.errno != errno.ELOOP:
                raise storage_error(self.path, cause) from cause
            handle = -1
        if handle >= 0:
            found = os.fstat(handle)
            if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:  # 0: removed since, which `_check` tells
                return handle
            os.close(handle)
        raise StorageError(f"{self.path} is a link, or not a file; remove it, or choose another folder.")

    def _lock(self, handle: int) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                name = one_line(os.pread(handle, LONGEST_NAME, 0).decode(errors="replace"))
                if not _has_ended(name) or time.monotonic() > end:
                    raise InUse(
                        f"{self.folder} is in use by {name or 'another process'}; wait for that run, stop it, or "
                        "choose another folder."
                    ) from None
                time.sleep(0.02)
            except OSError as error:
                reason = f"this disk knows no locks ({error.strerror})"
                warnings.warn(f"{self.folder}: {reason}; see to it that no second run uses it.", stacklevel=3)
                return


@contextmanager
def waited(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, as `RunLock` does, after whoever holds it now."""
    while True:
        try:
            lock = RunLock(folder).__enter__()
            break
        except InUse:
            time.sleep(LOOK)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def holder(folder: Path) -> str:
    """Return who holds the lock of a folder: `process 12 on host since TIME`; empty if it is free or cannot be asked.

    Where the disk has no locks, the name in the file counts, unless it is of a process of this machine that has ended.
    """
    try:
        handle = os.open(folder / "run.lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    name = ""
    try:
        name = one_line(os.pread(handle, LONGEST_NAME, 0).decode(errors="replace"))
        if name:  # a killed holder leaves its name behind
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return ""
    except BlockingIOError:
        return name
    except OSError:
        return "" if _has_ended(name) else name
    finally:
        os.close(handle)


def _has_ended(name: str) -> bool:
    """Return whether the process that wrote its name is gone, so that only a fork of it can still have the lock."""
    found = re.match(r"process (\d{1,9}) on (.+) since ", name)
    if not found or found[2] != socket.gethostname():
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is there, and another user's
        return False
    return False


def _let_go() -> None:
    """Close a forked worker's copy of the handles: the lock must end with the run, not with its last worker."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)
