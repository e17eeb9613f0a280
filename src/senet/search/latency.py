"""Measure the latency of a design: the time of one image, on this machine."""

from functools import partial

import torch

from senet.experiments.run import Run
from senet.models import image_size
from senet.networks.outline import outline
from senet.speed.interleave import interleave
from senet.speed.threads import torch_threads

__all__ = ["latency_ms"]


@torch.inference_mode()
def latency_ms(run: Run, *, shape: tuple[int, int, int] | None = None, device: str = "cpu", repeats: int = 15) -> float:
    """Return the median time of one image through the network of a run, on one thread [ms].

    See `senet.speed.interleave` for what is timed.

    Args:
        run: defines network and design; the weights do not matter.
        shape: channels, rows and columns; None stands for three channels of the network's own size.
        device: where.
        repeats: timed passes, after two passes to warm up.
    """
    channels, height, width = shape or (3, *[image_size(run.model)] * 2)
    model = outline(run.model, run.se, side=height, in_chans=channels, at=run.at, device="cpu").eval().to(device)
    x = torch.zeros(1, channels, height, width, device=device)
    with torch_threads(1):
        timing = interleave({"": partial(model, x)}, rounds=repeats, device=device)[""]
    return 1000 * timing.median
