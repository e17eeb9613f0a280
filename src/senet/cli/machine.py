"""On what the runs go: device, processes, places."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from senet.errors import DataError, UsageError, not_installed

if TYPE_CHECKING:
    from senet.execution.setup import Setup

__all__ = ["make_setup"]


def make_setup(
    data_dir: Path | None,
    device: str,
    jobs: int,
    workers: int,
    *,
    threads: int = 0,
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
        threads: of one operator in each run; 0 is what the environment or the number of jobs says.
        tensorboard: write curves for it.
        download: fetch a data set that is not there.
        on_bad_image: `error` or `skip`.
        fused: run norms and blocks as one operation.
        graph: record training steps on the GPU.

    Raises:
        DataError: if there is no such folder.
        UsageError: if a number is out of range, the device is not known, not there or cannot record, `on_bad_image` is
            not known, or tensorboard is missing.
    """
    import torch

    from senet.bounds import check_flags
    from senet.execution.setup import Setup, cores

    check_flags(jobs=jobs, workers=workers, threads=threads)
    if tensorboard and find_spec("tensorboard") is None:
        raise not_installed("--tensorboard", "tensorboard", extra="track")
    if data_dir is not None and not download and not data_dir.is_dir():
        raise DataError(f"--data-dir {data_dir} is not a folder; give the one where the images lie.")
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
        jobs=jobs or (cores() if device == "cpu" else 1),
        threads=threads,
        workers=workers,
        tensorboard=tensorboard,
        download=download,
        on_bad_image=on_bad_image,
        fused=fused,
        graph=graph,
    )
