"""The processor of this machine: its name, and what compiled code for it depends on."""

import platform
from functools import cache
from pathlib import Path

__all__ = ["processor_features", "processor_name"]


@cache
def processor_name() -> str:
    """Return the model name, e.g. `AMD EPYC 9654 96-Core Processor`; empty if the system does not provide it."""
    return _first("model name").partition(":")[2].strip()


@cache
def processor_features() -> tuple[str, ...]:
    """Return the architecture and the instruction sets: what `-march=native` depends on."""
    return platform.machine(), platform.processor(), _first("flags", "Features")


def _first(*names: str) -> str:
    """Return the first line of `/proc/cpuinfo` that begins with one of these names; empty if there is none."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line for line in lines if line.startswith(names)), "")
