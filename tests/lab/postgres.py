"""A real PostgreSQL server from the system's packages: in a folder of its own, on loopback, for the tests alone."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from forks import patient

PASSWORD = "s3cret/word"


def programs() -> Path | None:
    """Find the newest installed server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    there = shutil.which("postgres")
    return Path(there).parent if there and shutil.which("initdb") else None


@dataclass
class Server:
    """A running server.

    Attributes:
        bin: its programs.
        folder: its data and its log.
        port: on 127.0.0.1.
        user: who runs it; None is this user. It refuses to run as root.
    """

    bin: Path
    folder: Path
    port: int
    user: str | None

    def url(self, database: str = "postgres", *, password: str = PASSWORD, user: str = "senet") -> str:
        """Give the address of a database."""
        return f"postgresql://{user}:{password.replace('/', '%2F')}@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """Create the server's data."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.user:
            for path in (self.folder, secret):
                shutil.chown(path, self.user)
        words = ["-D", self.folder / "data", "-U", "senet", "-A", "scram-sha-256", "--pwfile", secret, "--no-sync"]
        subprocess.run([self.bin / "initdb", *words], check=True, capture_output=True, user=self.user, cwd="/")

    def start(self) -> None:
        """Start it and wait until it answers."""
        import psycopg

        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "port": self.port}
        words: list[str | Path] = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.folder / "data", *words],
                stdout=log,
                stderr=log,
                user=self.user,
                cwd="/",
            )
        end = time.monotonic() + patient(30)
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < end, (self.folder / "log").read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it, without waiting for its clients."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=patient(30))

    def execute(self, *statements: str) -> None:
        """Do something as the owner."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]


def serve() -> Server:
    """Make and start a server, or skip with the reason why there is none."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra `search`)")
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server is installed (Debian's package postgresql)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # a folder of pytest is closed to other users
    folder = Path(tempfile.mkdtemp(prefix="senet-postgres-"))
    server = Server(found, folder, port, _other_user())
    server.make()
    server.start()
    return server


def _other_user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {line.split(":")[0] for line in Path("/etc/passwd").read_text().splitlines()}
    return next(name for name in ("postgres", "nobody") if name in known)
