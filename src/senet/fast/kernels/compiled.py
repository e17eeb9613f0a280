"""Compilation of C++ sources on the user's machine, with a private cache that is verified before loading.

A cached library is read once, from an open file that is not a link and that only this user can write, and its hash must
match the one recorded at compilation. Exactly the verified bytes are loaded: from an anonymous file in memory
(`memfd_create`), or from a private copy on systems without one. Anything else in the cache - another user's file, a
truncated or corrupted one - is compiled again. Without a private cache folder, every process compiles for itself.
"""

import contextlib
import ctypes
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from senet.errors import BackendError
from senet.files.cache import folder, is_private, recall, remember
from senet.processor import processor_features

__all__ = ["compile_library", "compiler", "identity", "load"]

HEADER = Path(__file__).with_name("lanes.h")  # included by all sources
FLAGS = ("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-Wno-psabi")
SECONDS = 120  # time limit of a compilation [s]
STRAY = 3600  # age after which a compilation folder belongs to a killed process [s]
SCRATCH = "compile-"  # prefix of such folders

OPEN: list[int] = []  # files in memory stay open: dlopen considers libraries with the same path identical


def compiler() -> tuple[str, ...] | None:
    """Return the command of the C++ compiler: `$CXX`, or the first available of c++, g++, clang++; None without one.

    Raises:
        BackendError: if `$CXX` is not a valid command line.
    """
    given = os.environ.get("CXX", "")
    try:
        asked = shlex.split(given)
    except ValueError as error:
        raise BackendError(
            f"CXX = {given!r} is not a valid command ({error}); set it to a compiler, or unset it."
        ) from None
    wanted = [asked] if asked else [["c++"], ["g++"], ["clang++"]]
    return next(((path, *words) for name, *words in wanted if (path := shutil.which(name))), None)


def load(source: Path) -> ctypes.CDLL:
    """Load the library of a source, compiling it if it is not in the cache.

    Args:
        source: one C++ file; it may include `lanes.h`.

    Raises:
        BackendError: if no compiler is found, or compilation or loading fails.
    """
    name = identity(source)
    with contextlib.suppress(OSError):  # e.g. a system library that it links to was removed
        if (content := _cached(name)) is not None:
            return _opened(content, name)
    content = compile_library(source)
    _keep(name, content)
    try:
        return _opened(content, name)
    except OSError as error:
        raise BackendError(
            f"{source.name} was compiled but cannot be loaded ({error}); choose the backend 'reference'."
        ) from error


def identity(source: Path) -> str:
    """Return the cache name of a compiled source, unique for source, compiler and processor.

    Raises:
        BackendError: if no compiler is found.
    """
    # `-march=native` depends on the machine, and machines may share the user's folder
    text = "\n".join((source.read_text(), HEADER.read_text(), *_command(), *FLAGS, *processor_features()))
    return f"{source.stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _command() -> tuple[str, ...]:
    found = compiler()
    if found is None:
        raise BackendError(
            "backend = 'native' needs a C++ compiler, but none was found; install g++ or clang, set CXX, or choose "
            "the backend 'reference'."
        )
    return found


def _cached(name: str) -> bytes | None:
    """Return a library from the cache; None if it does not exist, or is not verified as compiled by this user."""
    place = folder()
    recorded = recall(name)
    if place is None or not isinstance(recorded, str) or not is_private(place / f"{name}.so"):
        return None
    try:
        opened = os.open(place / f"{name}.so", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(opened, "rb") as file:
            own = os.fstat(opened)  # of the open file, as the path may be replaced at any time
            if not stat.S_ISREG(own.st_mode) or (hasattr(os, "getuid") and own.st_uid != os.getuid()):
                return None
            content = file.read()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == recorded else None


def _keep(name: str, content: bytes) -> None:
    """Store a library in the cache, if there is one; written to disk before its hash."""
    place = folder()
    if place is None:
        return
    with contextlib.suppress(OSError):  # a full or read-only cache is not an error
        handle, stray = tempfile.mkstemp(prefix="compile-", dir=place)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)
            Path(stray).replace(place / f"{name}.so")
        finally:
            Path(stray).unlink(missing_ok=True)
        remember(name, hashlib.sha256(content).hexdigest())


def compile_library(source: Path) -> bytes:
    """Compile a source in a folder that only this user can write; return the library.

    Raises:
        BackendError: if no compiler is found, or compilation fails.
    """
    found = _command()
    place = folder()
    if place is not None:
        _sweep(place)
    try:
        scratch = Path(tempfile.mkdtemp(prefix="compile-", dir=place))
    except OSError:
        scratch = Path(tempfile.mkdtemp(prefix="senet-"))
    made = scratch / f"{source.stem}.so"
    try:
        for openmp in (["-fopenmp"], []):  # Apple's clang has no OpenMP; a single thread is used then
            words = [*found, *FLAGS, *openmp, "-I", str(HEADER.parent), str(source), "-o", str(made)]
            try:
                done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise BackendError(f"{shlex.join(found)} cannot compile the fused passes: {error}.") from error
            if done.returncode == 0 and made.is_file():
                return made.read_bytes()
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
        raise BackendError(
            f"{shlex.join(found)} cannot compile the fused passes: {first or 'it wrote no library'}; choose another "
            "compiler with CXX, or the backend 'reference'."
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove the folders of killed compilations."""
    for stray in place.iterdir():
        with contextlib.suppress(OSError):
            own = stray.lstat()
            if stray.name.startswith(SCRATCH) and time.time() - own.st_mtime > STRAY:
                shutil.rmtree(stray, ignore_errors=True) if stat.S_ISDIR(own.st_mode) else stray.unlink()


def _opened(content: bytes, name: str) -> ctypes.CDLL:
    """Load a library from its bytes."""
    if hasattr(os, "memfd_create"):  # Linux
        import fcntl

        try:
            memory = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            with os.fdopen(memory, "wb", closefd=False) as file:
                file.write(content)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
            OPEN.append(memory)
            return ctypes.CDLL(f"/proc/self/fd/{memory}")
        except OSError:  # no /proc, or executing memory is forbidden
            pass
    scratch = Path(tempfile.mkdtemp(prefix="senet-"))
    try:
        (scratch / f"{name}.so").write_bytes(content)
        return ctypes.CDLL(str(scratch / f"{name}.so"))
    finally:
        shutil.rmtree(
            scratch, ignore_errors=True
        )  # the mapping stays valid; on Windows the file remains until the process ends
