"""The environment of a result: versions, device, threads, commit. Bits are reproducible only if these are equal."""

import platform
import subprocess
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from senet.errors import SpecError
from senet.version import __version__

__all__ = ["Environment", "changes", "environment"]


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Properties besides the run on which the bits of a result depend.

    Attributes:
        senet: version of this package.
        commit: commit of its source tree, with `+` for uncommitted changes; empty if there is none.
        python: version of Python.
        torch: version of torch.
        device: kind and name, e.g. `cpu x86_64` or `cuda NVIDIA H200`.
        threads: threads of one operator on the CPU.
        processes: number of processes that train one network together.
        fused: backend of the fused norms, blocks and convolutions (`senet.accelerate`); empty for torch's own
            operations.
        graph: whether the step was recorded as a CUDA graph.
    """

    senet: str = ""
    commit: str = ""
    python: str = ""
    torch: str = ""
    device: str = ""
    threads: int = 1
    processes: int = 1
    fused: str = ""
    graph: bool = False

    def __post_init__(self) -> None:
        for name in ("threads", "processes"):
            if not 1 <= getattr(self, name) <= 10**6:
                raise SpecError(f"{name} = {str(getattr(self, name))[:24]} is not a number from 1 to 1,000,000.")


def environment(device: str, *, processes: int = 1, fused: str = "", graph: bool = False) -> Environment:
    """Return the environment of this process."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    return Environment(
        senet=__version__,
        commit=_commit(),
        python=platform.python_version(),
        torch=str(torch.__version__),
        device=f"{device.partition(':')[0]} {name}",
        threads=torch.get_num_threads(),
        processes=processes,
        fused=fused,
        graph=graph,
    )


@cache
def _commit() -> str:
    here = Path(__file__).parents[1]  # the package

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) not in here.parents or not git("ls-files", "."):
            return ""  # installed inside another repository
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def changes(before: Environment, now: Environment) -> str:
    """Describe the differences of two environments, except their commits; empty if there are none."""
    was, is_now = asdict(before), asdict(now)
    names = [name for name in is_now if name != "commit" and was[name] != is_now[name]]
    return ", ".join(f"{name} {was[name] or 'none'} -> {is_now[name] or 'none'}" for name in names)
