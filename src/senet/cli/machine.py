"""On what the runs go: device, processes, places."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from senet.cli.options import (
    BadImage,
    Cluster,
    DataDir,
    Device,
    Download,
    Gpus,
    Graph,
    Jobs,
    PerGpu,
    Threads,
    Workers,
)
from senet.errors import DataError, UsageError, not_installed

if TYPE_CHECKING:
    from senet.experiments.setup import Setup

__all__ = ["Machine", "Machines", "make_setup"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Options of a command that trains one network (`senet.cli.option_groups`)."""

    data_dir: DataDir = None
    device: Device = "auto"
    workers: Workers = 0
    threads: Threads = 0
    graph: Graph = False
    download: Download = False
    on_bad_image: BadImage = "error"

    def setup(self, *, fused: bool = True, tensorboard: bool = False) -> "Setup":
        """Check the options, and choose what they leave open; see `make_setup`."""
        return make_setup(**{"jobs": 1, **vars(self)}, fused=fused, tensorboard=tensorboard)


@dataclass(frozen=True, kw_only=True)
class Machines(Machine):
    """Options of a command that trains many."""

    jobs: Jobs = 0
    gpus: Gpus = None
    per_gpu: PerGpu = 1
    cluster: Cluster = None


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
    gpus: str | None = None,
    per_gpu: int = 1,
    cluster: str | None = None,
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
        gpus: `all`, or numbers as in `0,2`: GPUs of this machine, each with processes of its own.
        per_gpu: runs that share a GPU.
        cluster: `local`, `auto` or the address of a Ray cluster, which then says what devices there are.

    Raises:
        DataError: if the folder does not exist.
        UsageError: if a number is out of range, the device is not known, not there or cannot record, `on_bad_image` is
            not known, or tensorboard is missing.
    """
    from senet.bounds import check_flags
    from senet.experiments.setup import Setup, cores

    check_flags(jobs=jobs, workers=workers, threads=threads, per_gpu=per_gpu)
    if tensorboard and find_spec("tensorboard") is None:
        raise not_installed("--tensorboard", "tensorboard", extra="track")
    if data_dir is not None and not download and not data_dir.is_dir():
        raise DataError(f"--data-dir {data_dir} is not a folder; give the one where the images lie.")
    if cluster is not None:
        if gpus is not None or jobs:
            raise UsageError("--cluster says by itself how many runs fit; leave out --gpus and --jobs.")
        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"--device {device}: on a cluster the nodes choose the GPU; give cpu, cuda or auto.")
        pins: tuple[str, ...] = ()
    else:
        pins = _pins(gpus, per_gpu, device) if gpus is not None else ()
        device = "cuda" if pins else _device(device)
    if graph and device == "cpu":
        raise UsageError("--graph records a training step on a GPU, and the device is cpu; leave it out.")
    if on_bad_image not in ("error", "skip"):
        raise UsageError(f"--on-bad-image {on_bad_image} is not known; choose error or skip.")
    if pins or cluster is not None:
        jobs = min(jobs or len(pins), len(pins)) or 1
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
        gpus=pins,
        cluster=cluster or "",
        per_gpu=per_gpu,
    )


def _device(device: str) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise UsageError(f"--device {device} is not known; choose cpu, cuda, cuda:1, or auto.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch sees no GPU here; use --device cpu.")
    return device


def _pins(gpus: str, per_gpu: int, device: str) -> tuple[str, ...]:
    """Return what each process sees as `CUDA_VISIBLE_DEVICES`: the first run of every GPU, then the second of each."""
    import torch

    if device not in ("auto", "cuda"):
        raise UsageError(f"--gpus {gpus} and --device {device} contradict each other; leave one out.")
    count = torch.cuda.device_count()
    seen = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    names = seen[:count] if seen else [str(number) for number in range(count)]
    if not names:
        raise UsageError(f"--gpus {gpus}: torch sees no GPU here; leave it out, or use --device cpu.")
    if gpus == "all":
        return tuple(names) * per_gpu
    chosen = [part.strip() for part in gpus.split(",")]
    known = {str(number): name for number, name in enumerate(names)}
    for part in chosen:
        if part not in known:
            raise UsageError(f"--gpus {gpus}: {part!r} is not a GPU here; choose all, or of {', '.join(known)}.")
    if len(set(chosen)) < len(chosen):
        raise UsageError(f"--gpus {gpus} names a GPU twice; --per-gpu lets runs share one.")
    return tuple(known[part] for part in chosen) * per_gpu
