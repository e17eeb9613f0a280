"""Databases that several workers share: an SQLite file, or one of a real server that lives as long as a module."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from postgres import Server, serve

names = count()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = serve()
    yield running
    running.stop()
    shutil.rmtree(running.folder)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'trials.db'}"
    server: Server = request.getfixturevalue("server")
    name = f"db{next(names)}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name)
