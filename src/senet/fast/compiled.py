"""Our C++, compiled once by the compiler of the machine and kept in the user's cache."""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from senet.errors import BackendError

__all__ = ["compiler", "load"]

HEADER = Path(__file__).with_name("lanes.h")  # what all sources share
FLAGS = ("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-Wno-psabi")
SECONDS = 120  # that a compiler may take


def compiler() -> tuple[str, ...] | None:
    """Give the words that start the C++ compiler: `$CXX`, or the first of c++, g++ and clang++ that is there."""
    asked = shlex.split(os.environ.get("CXX", ""))
    wanted = [asked] if asked else [["c++"], ["g++"], ["clang++"]]
    return next(((path, *words) for name, *words in wanted if (path := shutil.which(name))), None)


def cache_folder() -> Path:
    """Give where compiled code is kept: `senet` in `$XDG_CACHE_HOME`, which is `~/.cache` unless it is set."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "senet"
    except RuntimeError:  # a user without a home
        return Path(tempfile.mkdtemp(prefix="senet-"))


def load(source: Path) -> ctypes.CDLL:
    """Load a source, compiled unless it has been on this machine.

    Args:
        source: one file of C++; it may include `lanes.h`.

    Raises:
        BackendError: if there is no compiler, or it fails.
    """
    found = compiler()
    if found is None:
        raise BackendError(
            "backend = 'native' needs a C++ compiler and there is none; install g++ or clang, set CXX, or choose "
            "the backend 'reference'."
        )
    # `-march=native` means another machine on another machine, whose home folder may be the same
    text = "\n".join((source.read_text(), HEADER.read_text(), *found, *FLAGS, *_processor()))
    target = cache_folder() / f"{source.stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
    try:
        if not target.exists():
            target = _compile(found, source, target)
        return ctypes.CDLL(str(target))
    except OSError as error:
        raise BackendError(f"{target} does not load ({error}); delete it.") from error


def _processor() -> tuple[str, ...]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return platform.machine(), platform.processor(), flags


def _compile(found: tuple[str, ...], source: Path, target: Path) -> Path:
    """Compile to `target`, or to a folder of this process where that cannot be written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.mkdtemp(dir=target.parent)
    except OSError:
        target = Path(tempfile.mkdtemp(prefix="senet-")) / target.name
        scratch = tempfile.mkdtemp(dir=target.parent)
    made = Path(scratch) / target.name
    try:
        for openmp in (["-fopenmp"], []):  # Apple's clang has none; one thread then does the work
            words = [*found, *FLAGS, *openmp, str(source), "-o", str(made)]
            try:
                done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise BackendError(f"{shlex.join(found)} cannot compile the fused passes: {error}.") from error
            if done.returncode == 0:
                made.replace(target)  # whole or not at all, also if several processes compile at once
                return target
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
        raise BackendError(
            f"{shlex.join(found)} cannot compile the fused passes: {first}; choose another compiler with CXX, or the "
            "backend 'reference'."
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
