"""Determine how much memory this process may use, by the machine, the container and the resource limits."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["memory_bytes"]

CGROUPS = Path("/sys/fs/cgroup")
LIMITS = ("memory.max", "memory.limit_in_bytes")  # of version 2 and version 1 of control groups


def memory_bytes(*, cgroups: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the smallest memory limit of this process [bytes], or None if none is known."""
    return min((*_of_machine(), *_of_shell(), *_of_container(cgroups, membership)), default=None)


def _of_machine() -> Iterator[int]:
    with suppress(AttributeError, ValueError, OSError):  # not available on every system
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _of_shell() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        yield limit


def _of_container(cgroups: Path, membership: Path) -> Iterator[int]:
    """Yield the limits of the control group of this process and of all enclosing groups."""
    with suppress(OSError, ValueError):
        for line in membership.read_text().splitlines():
            controllers, place = line.split(":", 2)[1:]
            if controllers and "memory" not in controllers.split(","):
                continue
            root = cgroups / "memory" if controllers else cgroups
            group = root / place.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(root):
                    yield from _limits(folder)


def _limits(group: Path) -> Iterator[int]:
    for name in LIMITS:
        with suppress(OSError, ValueError):  # "max" means no limit
            yield int((group / name).read_text())
