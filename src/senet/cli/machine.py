"""On what the runs go: device, processes, places."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from senet.errors import UsageError

if TYPE_CHECKING:
    from senet.lab.execute import Setup

__all__ = ["make_setup"]


def make_setup(
    data_dir: Path | None,
    device: str,
    jobs: int,
    workers: int,
    *,
    tensorboard: bool = False,
    download: bool = False,
    on_bad_image: str = "error",
    fused: bool = True,
    graph: bool = False,
) -> "Setup":
    """Check the flags about the machine, and choose what they leave open.

    Args:
        data_dir: where the data set lies, if not in its usual place.
        device: `auto`, `cpu`, `cuda`, or `cuda:1`.
        jobs: runs at a time; 0 is one a core on the CPU and one on a GPU.
        workers: processes that decode images, for each run.
        tensorboard: write curves for it.
        download: fetch a data set that is not there.
        on_bad_image: `error` or `skip`.
        fused: run norms and blocks as one operation.
        graph: record training steps on the GPU.

    Raises:
        UsageError: if the device is not known, not there or cannot record, or `on_bad_image` is not known.
    """
    import torch

    from senet.lab.execute import Setup

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise UsageError(f"--device {device} is not known; choose cpu, cuda, cuda:1, or auto.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch sees no GPU here; use --device cpu.")
    if graph and device == "cpu":
        raise UsageError("--graph records a training step on a GPU, and the device is cpu; leave it out.")
    if on_bad_image not in ("error", "skip"):
        raise UsageError(f"--on-bad-image {on_bad_image} is not known; choose error or skip.")
    return Setup(
        data_dir=data_dir,
        device=device,
        jobs=jobs or (_cores() if device == "cpu" else 1),
        workers=workers,
        tensorboard=tensorboard,
        download=download,
        on_bad_image=on_bad_image,
        fused=fused,
        graph=graph,
    )


def _cores() -> int:
    """Count the cores that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
