"""The machine that runs are trained on: check device, GPUs and settings, and choose what they leave open."""

import os
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from senet.cli.settings_words import ImageSettings
from senet.errors import DataError, UsageError, not_installed

if TYPE_CHECKING:
    from senet.experiments.setup import Setup

__all__ = ["device_named", "make_setup"]


def make_setup(
    settings: ImageSettings,
    *,
    data_dir: Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    gpus: str | None = None,
) -> "Setup":
    """Check the options and settings about the machine, and choose the rest.

    Args:
        settings: settings of the command, see `senet.experiments.setup.Setup`.
        data_dir: folder of the data set; None for its usual place.
        device: `auto`, `cpu`, `cuda`, or `cuda:1`.
        jobs: runs at a time; 0 is one for each core on the CPU and one on a GPU.
        gpus: `all`, or numbers as in `0,2`: GPUs of this machine, each with processes of its own; None for one device.

    Raises:
        DataError: if the folder does not exist.
        UsageError: if a number is out of range, the device is not known, not available or cannot record graphs, or
            tensorboard is not installed.
    """
    from senet.bounds import check_flags
    from senet.experiments.setup import Setup, cores

    check_flags(jobs=jobs)
    own = ("device", "jobs", "gpus")  # arguments of this function
    asked = {
        one.name: getattr(settings, one.name)
        for one in fields(Setup)
        if hasattr(settings, one.name) and one.name not in own
    }
    if asked.get("tensorboard") and find_spec("tensorboard") is None:
        raise not_installed("tensorboard=true", "tensorboard", extra="track")
    if data_dir is not None and not settings.download and not data_dir.is_dir():
        raise DataError(f"--data-dir {data_dir} is not a folder; pass the folder of the images.")
    pins: tuple[str, ...] = ()
    if asked.get("cluster"):
        if gpus is not None or jobs:
            raise UsageError("cluster=... finds out how many runs fit; leave out --gpus and --jobs.")
        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"--device {device}: on a cluster the nodes choose the GPU; use cpu, cuda or auto.")
        jobs = 1
    else:
        pins = _pins(gpus, asked.get("per_gpu", 1), device) if gpus is not None else ()
        device = "cuda" if pins else device_named(device)
        jobs = min(jobs or len(pins), len(pins)) if pins else jobs or (cores() if device == "cpu" else 1)
    if asked.get("graph") and device == "cpu":
        raise UsageError("graph=true records a training step on a GPU, and the device is cpu; leave it out.")
    return Setup(**asked, data_dir=data_dir, device=device, jobs=jobs, gpus=pins)


def device_named(device: str) -> str:
    """Return the device of an option; `auto` is the GPU if there is one.

    Raises:
        UsageError: if it is not known, or not there.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise UsageError(f"--device {device} is not known; choose cpu, cuda, cuda:1, or auto.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch finds no GPU here; use --device cpu.")
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
        raise UsageError(f"--gpus {gpus}: torch finds no GPU here; leave it out, or use --device cpu.")
    if gpus == "all":
        return tuple(names) * per_gpu
    chosen = [part.strip() for part in gpus.split(",")]
    known = {str(number): name for number, name in enumerate(names)}
    for part in chosen:
        if part not in known:
            raise UsageError(f"--gpus {gpus}: {part!r} is not a GPU here; choose all, or of {', '.join(known)}.")
    if len(set(chosen)) < len(chosen):
        raise UsageError(f"--gpus {gpus} names a GPU twice; per_gpu=2 lets runs share one.")
    return tuple(known[part] for part in chosen) * per_gpu
