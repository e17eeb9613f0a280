"""The cache of a user: what others could have written is not read."""

import json
import os
from pathlib import Path

import pytest

from senet.files import cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_value_comes_back_as_it_was_kept() -> None:
    cache.remember("speed", {"native": [1.5, True, None]})
    assert cache.recall("speed") == {"native": [1.5, True, None]}
    assert cache.recall("other") is None


def test_a_new_folder_is_open_to_its_user_alone() -> None:
    place = cache.folder()
    assert place is not None
    assert place.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"value": 1, "sha256": "0"}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_counts_as_missing(damage: bytes) -> None:
    cache.remember("speed", 1)
    place = cache.folder()
    assert place is not None
    (place / "speed.json").write_bytes(damage)
    assert cache.recall("speed") is None


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path, mode: int) -> None:
    cache.remember("speed", 1)
    (tmp_path / "cache" / "senet").chmod(mode)
    assert cache.folder() is None
    assert cache.recall("speed") is None


def test_a_parent_that_others_may_write_spoils_the_folder(tmp_path: Path) -> None:
    cache.remember("speed", 1)
    (tmp_path / "cache").chmod(0o777)
    assert cache.recall("speed") is None
    (tmp_path / "cache").chmod(0o1777)  # sticky: nobody can replace what belongs to another
    assert cache.recall("speed") == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
def test_a_folder_or_file_of_another_user_is_not_used(tmp_path: Path) -> None:
    cache.remember("speed", 1)
    file = tmp_path / "cache" / "senet" / "speed.json"
    os.chown(file, 65534, 65534)
    assert cache.recall("speed") is None
    os.chown(file, 0, 0)
    os.chown(file.parent, 65534, 65534)
    assert cache.folder() is None


def test_a_link_in_the_place_of_the_folder_or_a_file_is_not_followed(tmp_path: Path) -> None:
    cache.remember("speed", 1)
    real = tmp_path / "cache" / "senet"
    (real / "speed.json").rename(real / "kept.json")
    (real / "speed.json").symlink_to(real / "kept.json")
    assert cache.recall("kept") == 1
    assert cache.recall("speed") is None
    real.rename(tmp_path / "elsewhere")
    real.symlink_to(tmp_path / "elsewhere")
    assert cache.folder() is None


def test_a_relative_cache_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", ".")
    monkeypatch.chdir(tmp_path)
    assert cache.folder() == tmp_path / "home" / ".cache" / "senet"


def test_a_cache_that_cannot_be_made_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache.remember("speed", 1)
    assert cache.folder() is None
    assert json.dumps(cache.recall("speed")) == "null"
