"""The database that several workers share: its address, its errors in plain words, and one worker's turn at a time.

Optuna's steps are safe each for itself at best, and on SQLite two workers can be handed the same trial. So every
change of a trial's state here happens in a turn: a lock that ends with the process that holds it.
"""

import fcntl
import logging
import math
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from senet.errors import StorageError, UsageError
from senet.files.atomic import ensure_writable

__all__ = ["Database", "address"]

WAIT = 60  # seconds that a statement, a lock or a turn may take
CONNECT = 5  # seconds until a server that does not answer is given up
BUSY = 8  # seconds that another program may hold an SQLite file: workers take turns, so it is none of them
KEY = 0x5E_5E_7  # of the advisory lock: any number that no other program takes
FORMS = "give sqlite (a file in the folder of runs), sqlite:///FILE, or postgresql://USER@HOST/DATABASE"
NETWORK_DISKS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs"}


def address(text: str, *, runs: Path) -> URL:
    """Read what a user calls a storage.

    Args:
        text: `sqlite`, `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
        runs: the folder of runs; `sqlite` stands for the file `trials.db` in it.

    Raises:
        UsageError: if it is none of these.
    """
    if text == "sqlite":
        return URL.create("sqlite", database=str(runs / "trials.db"))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        said = "what was given" if "@" in text else repr(text)  # there may be a password in it
        raise UsageError(f"--storage: {said} is no address of a database; {FORMS}.") from None
    kind = url.drivername.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite" or url.database in (None, "", ":memory:") or url.host:
        raise UsageError(f"--storage {url.render_as_string()} cannot be shared; {FORMS}.")
    return url


class Database:
    """An Optuna storage that several processes and machines use at once.

    Args:
        url: of `address`.
        heartbeat: seconds between two signs of life of a worker.
        grace: seconds without one after which a worker is taken for dead.

    Raises:
        StorageError: if it does not answer, may not be written, has another version, or lies on a network disk.
        UsageError: if the driver is not installed.
    """

    def __init__(self, url: URL, *, heartbeat: int, grace: int) -> None:
        self.url = url
        self.name = url.render_as_string(hide_password=True)
        self.grace = grace
        self._failed = -math.inf  # when it was last away
        self._is_file = url.drivername == "sqlite"
        if self._is_file:
            self.path = Path(str(url.database)).absolute()
            ensure_writable(self.path.parent)
            _refuse_network_disk(self.path)
            connect: dict[str, Any] = {"timeout": BUSY}
        else:
            limits = {"statement_timeout": WAIT, "lock_timeout": WAIT, "idle_in_transaction_session_timeout": 2 * WAIT}
            options = " ".join(f"-c {name}={1000 * seconds}" for name, seconds in limits.items())
            connect = {"connect_timeout": CONNECT, "keepalives_idle": 30, "options": options}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with ExitStack() as undo, self.plain_errors():
            try:
                # tests a connection before it is used: without that a restart of the server ends the worker
                self._engine = sqlalchemy.create_engine(url, pool_pre_ping=True, connect_args=connect)
            except ImportError:
                raise UsageError(f"{self.name} needs psycopg; pip install 'senet[search]'.") from None
            undo.callback(self._engine.dispose)
            with self.turn(), quiet():  # two that make the tables at the same time trip over each other
                self.storage = RDBStorage(
                    url.render_as_string(hide_password=False),
                    {"pool": self._engine.pool},
                    heartbeat_interval=heartbeat,
                    grace_period=grace,
                )
            undo.pop_all()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep all other workers from changing trials; do not take a turn within a turn.

        Raises:
            StorageError: if the turn does not come within a minute, or the database fails.
        """
        with ExitStack() as stack:
            stack.enter_context(self.plain_errors())
            stack.enter_context(self._file_lock() if self._is_file else self._advisory_lock())
            yield

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Turn what the database or its driver raises into one line; a password is never in it."""
        try:
            yield
        except (SQLAlchemyError, StorageInternalError, RuntimeError, AssertionError) as error:
            self._failed = time.monotonic()
            raise StorageError(f"{self.name}: {self._reason(error)}") from error

    @property
    def is_steady(self) -> bool:
        """Whether it has answered for so long that a worker without a sign of life in it must be dead."""
        return time.monotonic() - self._failed > self.grace

    def close(self) -> None:
        """Give all connections back."""
        self.storage.remove_session()
        self.storage.engine.dispose()
        self._engine.dispose()

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        # SQLite is for one machine, so a lock of its kernel will do
        handle = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            end = time.monotonic() + WAIT
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > end:
                    raise StorageError(f"{self.name}: another worker has held it for {WAIT} s; is it suspended?")
                time.sleep(0.01)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _advisory_lock(self) -> Iterator[None]:
        # of the transaction: it ends with the connection, and the server ends a connection that idles in it
        with self._engine.begin() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": KEY})
            yield

    def _reason(self, error: BaseException) -> str:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        cause = getattr(cause, "orig", None) or cause
        lines = " ".join(str(cause).split())
        if self.url.password:
            lines = lines.replace(str(self.url.password), "***")
        if "storage upgrade" in lines or "latest version" in lines:
            way_out = "the storage is of another version of optuna"
        elif "attempt to write a readonly" in lines or "permission denied" in lines:
            way_out = "give this user the right to create and change tables"
        else:
            way_out = "is the server up, and are host, database, user and password right?"
            if self._is_file:
                way_out = "is it an SQLite file that nothing else holds, on a disk with space?"
        return f"{lines[:400] or type(cause).__name__}; {way_out}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from calling its heartbeats an experiment each time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _refuse_network_disk(path: Path) -> None:
    if _disk(path) in NETWORK_DISKS:
        raise StorageError(
            f"{path} is on a network disk ({_disk(path)}), where SQLite's locks do not hold; put it on a local disk, "
            "or use postgresql://USER@HOST/DATABASE."
        )


def _disk(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Give the kind of the disk that a file is on; empty if the system does not say."""
    try:
        lines = [line.split()[1:3] for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    holding = [(len(place), kind) for place, kind in lines if path.resolve().is_relative_to(place)]
    return max(holding, default=(0, ""))[1].removeprefix("fuse.")
