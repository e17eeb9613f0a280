"""Lock the folder of a run, so that one process at a time trains in it.

The lock is the kernel's (`flock`): it ends with the process that holds it, also after `kill -9`. The text in the file
only names that process.
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
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType

from senet.errors import StorageError
from senet.files.atomic import storage_error
from senet.text import one_line

__all__ = ["InUse", "RunLock", "holder", "waited"]


class InUse(StorageError):  # noqa: N818 (not always an error: the caller can wait)
    """Another process holds the lock of a folder."""


RETRY_EVERY = 0.5  # seconds between two attempts to take a lock that is waited for
LONGEST_NAME = 200  # bytes of the lock file that are quoted
PATIENCE = 10.0  # seconds that a fork of a killed process may take to close its copy of the lock, usually milliseconds

_held: set[int] = set()


class RunLock:
    """The lock of a folder: `with RunLock(folder): ...`.

    The file `run.lock` is kept when the lock is released: otherwise two processes could hold two files of one name.

    Raises:
        InUse: on entering, if another process holds the lock.
        StorageError: on entering, if the file cannot be written, or is not a regular file of its own.
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
        """Whether this object holds the lock."""
        return self._handle is not None

    def check(self) -> None:
        """Check before writing that the folder is still the locked one.

        Raises:
            StorageError: if it was moved, removed or replaced: another process could hold the present one.
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
                f"{self.folder} was moved, removed or replaced while a run held it; restore the folder and start the "
                "same command again."
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
                reason = f"this disk does not support locks ({error.strerror})"
                warnings.warn(f"{self.folder}: {reason}; make sure that no second run uses it.", stacklevel=3)
                return


@contextmanager
def waited(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder like `RunLock`, after waiting for a process that holds it."""
    with ExitStack() as stack:
        while True:
            with suppress(InUse):
                stack.enter_context(RunLock(folder))
                break
            time.sleep(RETRY_EVERY)
        yield


def holder(folder: Path) -> str:
    """Return the holder of the lock of a folder, `process 12 on host since TIME`; empty if it is free or unreadable.

    On a disk without locks, the name in the file is used, unless its process on this machine has ended.
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
    """Return whether a process of this machine has ended, so that only a fork of it can still hold the lock."""
    found = re.match(r"process (\d{1,9}) on (.+) since ", name)
    if not found or found[2] != socket.gethostname():
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it runs as another user
        return False
    return False


def _let_go() -> None:
    """Close the handles in a forked worker: the lock must end with the training, not with its last worker."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)
