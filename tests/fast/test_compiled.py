"""Compiled code from the cache: only what this user compiled is loaded, whole; all else is compiled anew."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from senet import accelerate
from senet.errors import BackendError
from senet.fast.kernels import compiled
from senet.fast.kernels.compiled import compiler, load
from senet.files import cache

pytestmark = pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler")

ANSWER = 'extern "C" int senet_answer() { return 42; }\n'
CANARY = """#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void planted() { FILE* f = fopen(getenv("CANARY"), "w"); if (f) fclose(f); }
extern "C" int senet_answer() { return 13; }
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "senet"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "small.cpp"
    path.write_text(ANSWER)
    return path


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The small source compiled, and another one that leaves a file behind where it is loaded."""
    folder = tmp_path_factory.mktemp("libraries")
    found = compiler()
    assert found is not None
    for name, text in (("good", ANSWER), ("planted", CANARY)):
        (folder / f"{name}.cpp").write_text(text)
        subprocess.run([*found, "-shared", "-fPIC", str(folder / f"{name}.cpp"), "-o", str(folder / name)], check=True)
    return {name: (folder / name).read_bytes() for name in ("good", "planted")}


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch, libraries: dict[str, bytes]) -> list[Path]:
    """One entry for each compilation, which takes no time."""
    seen: list[Path] = []
    monkeypatch.setattr(compiled, "compile_library", lambda source: (seen.append(source), libraries["good"])[1])
    return seen


def kept(place: Path) -> Path:
    (library,) = place.glob("small-*.so")
    return library


def test_a_source_is_compiled_once_and_kept_for_this_user_alone(
    source: Path, place: Path, compilations: list[Path]
) -> None:
    assert [load(source).senet_answer() for _ in range(3)] == [42] * 3
    assert len(compilations) == 1
    assert place.stat().st_mode & 0o077 == 0
    assert kept(place).stat().st_mode & 0o077 == 0
    assert {path.suffix for path in place.iterdir()} == {".so", ".json"}


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "first page": lambda content: content[:4096],
    "zeroed middle": lambda content: content[:4096] + bytes(len(content) - 8192) + content[-4096:],
    "flipped bit": flipped,
    "longer": lambda content: content + b"\0",
    "text": lambda content: b"#!/bin/sh\n",
    "another library": lambda content: Path(ctypes.__file__).read_bytes(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_library_is_compiled_anew(
    source: Path, place: Path, compilations: list[Path], damage: Callable[[bytes], bytes]
) -> None:
    load(source)
    whole = kept(place).read_bytes()
    kept(place).write_bytes(damage(whole))
    assert load(source).senet_answer() == 42
    assert len(compilations) == 2
    assert kept(place).read_bytes() == whole


@pytest.fixture
def planted(
    source: Path,
    tmp_path: Path,
    libraries: dict[str, bytes],
    compilations: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A library that is not ours, `planted.so`; the path is the file that it writes when it is loaded."""
    load(source)
    (tmp_path / "planted.so").write_bytes(libraries["planted"])
    (tmp_path / "planted.so").chmod(0o600)
    monkeypatch.setenv("CANARY", str(tmp_path / "canary"))
    return tmp_path / "canary"


def test_the_planted_library_would_tell(planted: Path, tmp_path: Path) -> None:
    assert ctypes.CDLL(str(tmp_path / "planted.so")).senet_answer() == 13
    assert planted.exists()


def test_a_library_of_another_content_is_not_loaded(source: Path, place: Path, planted: Path, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "planted.so", kept(place))
    assert load(source).senet_answer() == 42
    assert not planted.exists()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_to_another_library_is_not_loaded(
    source: Path, place: Path, planted: Path, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    name = kept(place)
    name.unlink()
    link(tmp_path / "planted.so", name)
    assert load(source).senet_answer() == 42
    assert not planted.exists()


@pytest.mark.parametrize("which", ["library", "record", "folder", "above"])
@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_what_others_may_write_is_not_loaded(
    source: Path, place: Path, planted: Path, tmp_path: Path, which: str, mode: int
) -> None:
    library = kept(place)
    shutil.copy(tmp_path / "planted.so", library)
    cache.remember(library.stem, compiled.hashlib.sha256(library.read_bytes()).hexdigest())  # as a planter would
    targets = {"library": library, "record": library.with_suffix(".json"), "folder": place, "above": place.parent}
    targets[which].chmod(mode)
    assert load(source).senet_answer() == 42
    assert not planted.exists()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("which", ["library", "record", "folder"])
def test_what_belongs_to_another_user_is_not_loaded(
    source: Path, place: Path, planted: Path, tmp_path: Path, which: str
) -> None:
    library = kept(place)
    shutil.copy(tmp_path / "planted.so", library)
    cache.remember(library.stem, compiled.hashlib.sha256(library.read_bytes()).hexdigest())
    os.chown({"library": library, "record": library.with_suffix(".json"), "folder": place}[which], 65534, 65534)
    assert load(source).senet_answer() == 42
    assert not planted.exists()


def test_a_relative_cache_folder_is_not_used(
    source: Path, tmp_path: Path, planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", ".")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    shutil.copy(tmp_path / "planted.so", kept(Path("senet")))
    assert load(source).senet_answer() == 42
    assert not planted.exists()


def test_what_was_hashed_is_what_is_loaded(source: Path, place: Path, tmp_path: Path, planted: Path) -> None:
    library, bad, stop = kept(place), (tmp_path / "planted.so").read_bytes(), threading.Event()
    good = library.read_bytes()

    def swap() -> None:
        while not stop.is_set():
            for content in (bad, good):
                (tmp_path / "next").write_bytes(content)
                (tmp_path / "next").chmod(0o600)
                (tmp_path / "next").replace(library)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        assert all(load(source).senet_answer() == 42 for _ in range(20))
    finally:
        stop.set()
        thread.join()
    assert not planted.exists()


def test_without_a_cache_every_process_compiles_for_itself(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(compiled.tempfile, "tempdir", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    assert load(source).senet_answer() == 42
    assert not list((tmp_path / "own").iterdir())


@pytest.mark.parametrize("missing", [True, False])
def test_systems_without_executable_memory_load_a_private_copy(
    source: Path, monkeypatch: pytest.MonkeyPatch, *, missing: bool
) -> None:
    if missing:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    else:
        really = ctypes.CDLL

        def denied(path: str) -> ctypes.CDLL:
            if path.startswith("/proc/"):
                raise OSError("failed to map segment from shared object")
            return really(path)

        monkeypatch.setattr(ctypes, "CDLL", denied)
    assert [load(source).senet_answer() for _ in range(2)] == [42, 42]


def test_strays_of_killed_compilations_are_swept(source: Path, place: Path) -> None:
    place.mkdir(parents=True, mode=0o700)
    for name, age in (("other", 9000), ("compile-x", 9000), ("compile-new", 0)):
        (place / name).mkdir()
        (place / name / "half.so").write_text("")
        os.utime(place / name, (time.time() - age,) * 2)
    load(source)
    assert (place / "other").exists()
    assert not (place / "compile-x").exists()
    assert (place / "compile-new").exists()


@pytest.mark.parametrize("words", ["'unclosed", '"', "g++ 'x"])
def test_a_compiler_that_cannot_be_read_is_told_in_one_line(
    source: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", words)
    with pytest.raises(BackendError, match=r"^CXX = .* is not a valid command \(No closing quotation\); [^\n]*$"):
        load(source)
    with pytest.warns(UserWarning, match="the network is not accelerated: CXX = "):
        assert not accelerate(nn.Sequential(nn.Conv2d(3, 4, 3))).backend


@pytest.mark.parametrize("words", ["false", "true", "c++ --no-such-option"])
def test_a_compiler_that_fails_is_told_in_one_line(
    source: Path, place: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", words)
    with pytest.raises(BackendError, match=r"^.* cannot compile the fused passes: [^\n]*$"):
        load(source)
    assert not place.is_dir() or not list(place.iterdir())


@pytest.mark.slow
def test_processes_that_compile_at_once_all_get_the_library(source: Path, place: Path) -> None:
    code = (
        "import pathlib, sys, senet.fast.kernels.compiled as c; print(c.load(pathlib.Path(sys.argv[1])).senet_answer())"
    )
    words = [sys.executable, "-c", code, str(source)]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.communicate()[0].strip() for one in processes] == ["42", "42"]
    assert load(source).senet_answer() == 42
