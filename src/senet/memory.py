"""How much memory this process may use: that of the machine, of its container, or what its shell allows."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["memory_bytes"]

CGROUPS = Path("/sys/fs/cgroup")
LIMITS = ("memory.max", "memory.limit_in_bytes")  # of the second and the first version of control groups


def memory_bytes(*, cgroups: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the smallest of the limits that hold for this process [bytes]; None where none is known.

    Args:
        cgroups: where the control groups lie.
        membership: says to which of them this process belongs.
    """
    return min((*_of_machine(), *_of_shell(), *_of_container(cgroups, membership)), default=None)


def _of_machine() -> Iterator[int]:
    with suppress(AttributeError, ValueError, OSError):  # a system that does not say it
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
    """Yield the limits of the group of this process and of all groups that it lies in."""
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
        with suppress(OSError, ValueError):  # "max" is none
            yield int((group / name).read_text())
