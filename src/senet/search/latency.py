"""Measure the latency of a design: the time of one image, on this machine under its present load."""

import time
from statistics import median

import torch

from senet.experiments.run import Run
from senet.models import image_size
from senet.networks.outline import outline

__all__ = ["latency_ms"]


@torch.inference_mode()
def latency_ms(run: Run, *, shape: tuple[int, int, int] | None = None, device: str = "cpu", repeats: int = 15) -> float:
    """Return the median time of one image through the network of a run [ms], after two passes to warm up.

    Args:
        run: gives network and design; the weights do not matter.
        shape: channels, rows and columns; None stands for three channels of the network's own size.
        device: where.
        repeats: passes.
    """
    channels, height, width = shape or (3, *[image_size(run.model)] * 2)
    model = outline(run.model, run.se, side=height, in_chans=channels, at=run.at, device="cpu").eval().to(device)
    x = torch.zeros(1, channels, height, width, device=device)
    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        model(x)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        times.append(1000 * (time.perf_counter() - began))
    return median(times[2:])
