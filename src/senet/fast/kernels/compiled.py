"""C++ that the machine's own compiler makes once, and that is loaded only if it is what this user once compiled.

A library in the cache is read once, through one open file that is not a link and only this user can write; its hash
must be the one that was recorded when it was compiled. What was hashed is what is loaded: from memory of this process
(`memfd_create`), or from a private copy where a system has no such memory. Whatever else lies there - another user's
file, half a file, a flipped byte - is compiled anew. Without a private cache folder every process compiles for itself.
"""

import contextlib
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

from senet.errors import BackendError
from senet.files.cache import folder, is_private, recall, remember

__all__ = ["compiler", "identity", "load"]

HEADER = Path(__file__).with_name("lanes.h")  # that the sources share
FLAGS = ("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-Wno-psabi")
SECONDS = 120  # that a compiler may take
STRAY = 3600  # seconds, after which a folder of a compilation belongs to a process that was killed
SCRATCH = ("compile-", "tmp")  # names of such folders begin with these; earlier versions used the second

OPEN: list[int] = []  # files in memory stay open: dlopen takes a library of an equal path for the same one


def compiler() -> tuple[str, ...] | None:
    """Return the words that start the C++ compiler: `$CXX`, or the first of c++, g++ and clang++ that is there.

    Raises:
        BackendError: if `$CXX` is not a command line.
    """
    given = os.environ.get("CXX", "")
    try:
        asked = shlex.split(given)
    except ValueError as error:
        raise BackendError(f"CXX = {given!r} is not a command ({error}); set it to a compiler, or unset it.") from None
    wanted = [asked] if asked else [["c++"], ["g++"], ["clang++"]]
    return next(((path, *words) for name, *words in wanted if (path := shutil.which(name))), None)


def load(source: Path) -> ctypes.CDLL:
    """Load a source, compiled unless this user has compiled it on this machine.

    Args:
        source: one file of C++; it may include `lanes.h`.

    Raises:
        BackendError: if a compiler is missing, or it fails.
    """
    name = identity(source)
    with contextlib.suppress(OSError):  # compiled with a library of the system that has gone since
        if (content := _cached(name)) is not None:
            return _opened(content, name)
    content = _compiled(source)
    _keep(name, content)
    try:
        return _opened(content, name)
    except OSError as error:
        raise BackendError(f"{source.name}, compiled on this machine, does not load ({error}).") from error


def identity(source: Path) -> str:
    """Return the name under which a compiled source is kept: another one for another source, compiler or processor.

    Raises:
        BackendError: if a compiler is missing.
    """
    # `-march=native` means another machine on another machine, whose home folder may be the same
    text = "\n".join((source.read_text(), HEADER.read_text(), *_command(), *FLAGS, *_processor()))
    return f"{source.stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _command() -> tuple[str, ...]:
    found = compiler()
    if found is None:
        raise BackendError(
            "backend = 'native' needs a C++ compiler and there is none; install g++ or clang, set CXX, or choose "
            "the backend 'reference'."
        )
    return found


@cache
def _processor() -> tuple[str, ...]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return platform.machine(), platform.processor(), flags


def _cached(name: str) -> bytes | None:
    """Return a library as this user compiled it; None if there is none, or it may be anything else."""
    place = folder()
    recorded = recall(name)
    if place is None or not isinstance(recorded, str) or not is_private(place / f"{name}.so"):
        return None
    try:
        opened = os.open(place / f"{name}.so", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(opened, "rb") as file:
            own = os.fstat(opened)  # of what was opened, whatever the path leads to by now
            if not stat.S_ISREG(own.st_mode) or (hasattr(os, "getuid") and own.st_uid != os.getuid()):
                return None
            content = file.read()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == recorded else None


def _keep(name: str, content: bytes) -> None:
    """Put a library into the cache, if there is one; on the disk before its hash is."""
    place = folder()
    if place is None:
        return
    with contextlib.suppress(OSError):  # a cache that is full or read-only must not end the work
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


def _compiled(source: Path) -> bytes:
    """Compile in a folder that only this user can write."""
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
        for openmp in (["-fopenmp"], []):  # Apple's clang has none; one thread then does the work
            words = [*found, *FLAGS, *openmp, str(source), "-o", str(made)]
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
    """Remove what compilations left that were killed."""
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
        except OSError:  # no /proc, or memory that must not be executed
            pass
    scratch = Path(tempfile.mkdtemp(prefix="senet-"))
    try:
        (scratch / f"{name}.so").write_bytes(content)
        return ctypes.CDLL(str(scratch / f"{name}.so"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # what is mapped stays; Windows keeps the file until the end
