"""On which convolutions fewer products pay off: a matter of the processor, measured once on each machine.

The limits in `senet.fast.convolution.replace` were measured on AMD EPYC processors and hold there as they are. On
others every class of layers is timed against torch before the first training, and what is slower is left to torch. The
choice changes the last bits of results, so it is made once: the first process that measures keeps it in the user's
cache, every other process and every resumed run takes it from there, and results name it. Without a cache nothing is
measured.
"""

import time
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F

from senet.fast.convolution.winograd import LAST, SOURCE, convolved, transformed, turned, weight_gradient
from senet.fast.kernels.compiled import identity
from senet.files.cache import folder, recall, settle

__all__ = ["Class", "class_of", "described", "left_to_torch", "measured"]

MEASURED_ON = "AMD EPYC"
WIDTHS = (24, 96, 384)  # limits of the classes: the smaller number of channels of a layer
LAYERS = ((32, 16, 32), (4, 64, 28), (4, 256, 14), (8, 512, 7))  # images, channels, side of each class
ROUNDS = 5
MARGIN = 0.97  # of torch's time, above which a layer is left to torch

Class = tuple[int, bool]  # place in `LAYERS`, and whether the weights stay


def class_of(channels: int, *, constant: bool) -> Class:
    """Return the class of a layer: by the smaller number of its channels, and by whether its weights stay."""
    return bisect_left(WIDTHS, channels), constant


@cache
def left_to_torch() -> frozenset[Class]:
    """Return the classes that torch convolves faster on this machine."""
    if _processor().startswith(MEASURED_ON) or folder() is None:
        return frozenset()
    name = f"worth-{identity(SOURCE)}-{torch.__version__}"
    kept = recall(name)
    if kept is None:
        kept = settle(name, [list(each) for each in sorted(measured())])
    return frozenset((int(place), bool(constant)) for place, constant in kept or ())


def described() -> str:
    """Return which 3x3 convolutions are left to torch in a training, for the record of a run; empty if none are."""
    names = ("16 to 24", "25 to 96", "97 to 384", "more than 384")
    left = [names[place] for place, constant in sorted(left_to_torch()) if not constant]
    return f", 3x3 convolutions of {' and '.join(left)} channels left" if left else ""


@torch.no_grad()
def measured() -> set[Class]:
    """Time every class against torch, in turns; return those that do not pay off. Takes some seconds of a core."""
    slow: set[Class] = set()
    random = torch.Generator().manual_seed(0)
    for place, (n, c, side) in enumerate(LAYERS):
        x = torch.randn(n, c, side, side, generator=random).contiguous(memory_format=LAST)
        weight = torch.randn(c, c, 3, 3, generator=random).contiguous(memory_format=LAST)
        u, asked = transformed(weight), (None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False])

        def ours(x: torch.Tensor = x, weight: torch.Tensor = weight, c: int = c) -> None:
            convolved(x, transformed(weight), channels=c, bias=None, padding=1)
            convolved(x, turned(weight), channels=c, bias=None, padding=1)
            weight_gradient(x, x, like=weight, padding=1)

        def theirs(x: torch.Tensor = x, weight: torch.Tensor = weight, asked: tuple[object, ...] = asked) -> None:
            F.conv2d(x, weight, padding=1)
            torch.ops.aten.convolution_backward(x, x, weight, *asked)

        def stays(x: torch.Tensor = x, u: torch.Tensor = u, c: int = c) -> None:
            convolved(x, u, channels=c, bias=None, padding=1)

        def torchs(x: torch.Tensor = x, weight: torch.Tensor = weight) -> None:
            F.conv2d(x, weight, padding=1)

        for constant, one, other in ((False, ours, theirs), (True, stays, torchs)):
            if _ratio(one, other) > MARGIN:
                slow.add((place, constant))
    return slow


def _ratio(one: Callable[[], None], other: Callable[[], None]) -> float:
    """Return the best time of one function as a ratio to the best of another, run in turns."""
    best = [float("inf")] * 2
    for _ in range(ROUNDS):
        for at, run in enumerate((one, other)):
            began = time.perf_counter()
            run()
            best[at] = min(best[at], time.perf_counter() - began)
    return best[0] / best[1]


@cache
def _processor() -> str:
    """Return the name of the processor; empty where the system does not say."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
