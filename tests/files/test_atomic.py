"""Atomic files: the old bytes or the new ones, plain words when the disk refuses, and no strays."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from senet.errors import StorageError
from senet.files.atomic import append_line, ensure_writable, failpoint, write_bytes, write_json, write_text


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_holds_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"", b"x", os.urandom(100_001)):
        write_bytes(path, data)
        assert path.read_bytes() == data
    write_text(path, "Größe\n")
    assert path.read_bytes() == "Größe\n".encode()
    write_json(path, {"ü": [1, 2.5, None]})
    assert json.loads(path.read_text("utf-8")) == {"ü": [1, 2.5, None]}
    assert names(tmp_path) == ["file"]


def test_json_refuses_what_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "file", {"loss": float("nan")})
    assert names(tmp_path) == []


def test_odd_paths_are_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file link").symlink_to("real/target")
    for name in ("a b", "größe 数据", "x" * 255, "new\nline", "link/inside", "file link"):
        write_text(tmp_path / name, name)
        assert (tmp_path / name).read_text("utf-8") == name
    assert (tmp_path / "file link").is_symlink()
    assert (tmp_path / "real" / "target").read_text() == "file link"


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644)])
def test_the_umask_is_respected(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_bytes(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with largest_file(10_000), pytest.raises(StorageError, match="no space left") as caught:
        write_bytes(path, bytes(50_000))
    assert str(path) in str(caught.value)
    assert "50,000 bytes" in str(caught.value)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_really_full_disk_is_told_and_leaves_the_old_file(small_disk: Path) -> None:
    path = small_disk / "file"
    write_bytes(path, b"old")
    with pytest.raises(StorageError, match="no space left on the disk") as caught:
        write_bytes(path, bytes(400_000))
    assert "400,000 bytes" in str(caught.value)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert names(small_disk) == ["file"]


def test_a_read_only_disk_is_told_at_once(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for folder in (small_disk, small_disk / "new" / "run"):
        with pytest.raises(StorageError, match="mounted read-only") as caught:
            ensure_writable(folder)
        assert str(folder) in str(caught.value)
    with pytest.raises(StorageError, match="mounted read-only"):
        write_bytes(small_disk / "file", b"x")
    with pytest.raises(StorageError, match="mounted read-only"):
        append_line(small_disk / "log", "x")


def test_ensure_writable_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    ensure_writable(tmp_path / "a" / "b")
    ensure_writable(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="a file where a folder is needed"):
        ensure_writable(tmp_path / "file")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        ensure_writable(tmp_path / "file" / "run")


def test_a_missing_folder_and_a_long_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the folder is missing"):
        write_bytes(tmp_path / "none" / "file", b"x")
    with pytest.raises(StorageError, match="name is too long"):
        write_bytes(tmp_path / ("x" * 256), b"x")
    assert names(tmp_path) == []


def test_lines_are_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "log"
    append_line(path, '{"step": 1}')
    append_line(path, '{"step": 2}')
    with largest_file(30), pytest.raises(StorageError, match="no space left"):
        append_line(path, '{"step": 3}')
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


@pytest.mark.parametrize("place", ["mid_write", "before_replace", "after_replace"])
def test_a_kill_leaves_the_old_bytes_or_the_new_ones(tmp_path: Path, place: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old" * 1000)
    code = "import sys, pathlib, senet.files.atomic as f; f.write_bytes(pathlib.Path(sys.argv[1]), b'new' * 1000)"
    done = subprocess.run([sys.executable, "-c", code, path], env={**os.environ, "SENET_FAILPOINT": place}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == (b"new" if place == "after_replace" else b"old") * 1000


def test_a_failpoint_counts_and_is_silent_without_the_variable() -> None:
    failpoint("mid_write")
    code = (
        "from senet.files.atomic import failpoint as f\nfor i in range(9): print(i, flush=True); f('here'); f('there')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "SENET_FAILPOINT": "here:3"}, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [b"0", b"1", b"2"]


def test_files_and_locks_load_no_torch() -> None:
    code = "import sys, senet.files.atomic, senet.files.lock; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
