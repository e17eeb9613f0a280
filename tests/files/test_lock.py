"""One run for each folder, with real second processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from senet.errors import StorageError
from senet.files.lock import InUse, RunLock, holder

HOLD = """
import os, pathlib, sys, time
if "stall" in sys.argv:
    os.register_at_fork(after_in_child=lambda: time.sleep(0.5))  # runs before the one that lets the lock go
if "keep" in sys.argv:
    os.register_at_fork(after_in_child=lambda: time.sleep(60))
from senet.files.lock import RunLock
with RunLock(pathlib.Path(sys.argv[1])):
    worker = os.fork() if "fork" in sys.argv else -1
    if worker == 0:
        time.sleep(60)
    print(worker, flush=True)
    time.sleep(60)
"""


def start_holder(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, folder, *arguments], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    return holder, int(holder.stdout.readline())


def kill(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.communicate()
    assert holder.returncode == -signal.SIGKILL


def test_a_second_process_is_refused_with_pid_host_and_time(tmp_path: Path) -> None:
    holder, _ = start_holder(tmp_path)
    try:
        with pytest.raises(StorageError) as caught, RunLock(tmp_path):
            pass
    finally:
        kill(holder)
    text = str(caught.value)
    assert str(tmp_path) in text
    assert f"process {holder.pid} on {socket.gethostname()} since {time.localtime().tm_year}-" in text


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    for _ in range(3):
        holder, _ = start_holder(tmp_path)
        kill(holder)
        with RunLock(tmp_path):
            assert str(os.getpid()) in (tmp_path / "run.lock").read_text()


@contextmanager
def orphan(folder: Path, *arguments: str) -> Iterator[int]:
    """Leave the worker of a killed run behind."""
    holder, worker = start_holder(folder, "fork", *arguments)
    try:
        os.kill(holder.pid, signal.SIGKILL)  # not its worker
        holder.wait()
        yield worker
    finally:
        os.kill(worker, signal.SIGKILL)
        assert holder.stdout is not None
        holder.stdout.close()


@pytest.mark.parametrize("how", ["at once", "stall"])  # a run can be killed before its new worker has done anything
def test_a_worker_that_outlives_its_killed_run_does_not_keep_the_lock(how: str, tmp_path: Path) -> None:
    with orphan(tmp_path, how) as worker, RunLock(tmp_path):
        os.kill(worker, 0)  # it is still there


def test_a_stalled_worker_of_a_killed_run_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("senet.files.lock.PATIENCE", 0.1)
    with orphan(tmp_path, "keep"), pytest.raises(StorageError, match="is in use by process"), RunLock(tmp_path):
        pass


def test_a_lock_can_be_taken_again_after_it_was_given_back(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    for _ in range(2):
        with lock, pytest.raises(StorageError, match=f"process {os.getpid()}"), RunLock(tmp_path):
            pass
    with pytest.raises(KeyError), lock:
        raise KeyError
    with lock:
        pass
    assert (tmp_path / "run.lock").read_text() == ""


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the folder is missing"), RunLock(tmp_path / "none"):
        pass


def test_a_disk_without_locks_warns_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.warns(UserWarning, match="does not support locks"), RunLock(tmp_path):
        pass


def test_what_a_link_of_this_name_points_to_stays_as_it_is(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for name, make in {
        "link": lambda lock: lock.symlink_to(elsewhere),
        "hard link": lambda lock: lock.hardlink_to(elsewhere),
        "dead link": lambda lock: lock.symlink_to(tmp_path / "nothing"),
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
    }.items():
        elsewhere.write_text("of great value")
        folder = tmp_path / name
        folder.mkdir()
        make(folder / "run.lock")
        with pytest.raises(StorageError, match=r"run\.lock"), RunLock(folder):
            pass
        assert elsewhere.read_text() == "of great value"
        assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("change", ["moved", "removed", "replaced"])
def test_a_folder_that_is_no_longer_the_one_that_was_locked_is_told(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with RunLock(folder) as lock:
        lock.check()
        if change == "removed":
            shutil.rmtree(folder)
        else:
            folder.rename(tmp_path / "away")
        if change == "replaced":
            folder.mkdir()
            (folder / "run.lock").touch()
        with pytest.raises(StorageError, match="was moved, removed or replaced"):
            lock.check()
        if change == "moved":
            (tmp_path / "away").rename(folder)
            lock.check()


@pytest.mark.parametrize(
    "name",
    [
        b"\x1b[2J\x07 process",
        b"process " + b"9" * 900 + b" on HOST since 2026",
        b"process -1 on HOST since 2026",
        b"process 0 on HOST since\n2026",
        b"\xff\xfe\x00" * 400,
        "process 1 on \u202eHOST since 2026".encode(),
    ],
)
def test_whatever_stands_in_a_lock_that_is_held_is_told_in_one_line(name: bytes, tmp_path: Path) -> None:
    with RunLock(tmp_path):
        (tmp_path / "run.lock").write_bytes(name.replace(b"HOST", socket.gethostname().encode()))
        with pytest.raises(InUse) as told, RunLock(tmp_path):
            pass
        assert isinstance(holder(tmp_path), str)
    assert "is in use by" in str(told.value)
    assert str(told.value).isprintable()
