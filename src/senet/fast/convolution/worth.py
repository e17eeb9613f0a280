"""Selection of the convolutions for which Winograd's algorithm is faster than torch, measured once on each machine.

The thresholds in `senet.fast.convolution.replace` were measured on AMD EPYC processors and are used unchanged there. On
other processors every class of layers is timed against torch before the first training, and classes that are slower
are left to torch. As the choice affects the last bits of results, it is made once: the first process stores it in the
user's cache, other processes and resumed runs read it from there, and results record it. Without a cache nothing is
measured.
"""

import time
from bisect import bisect_left
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F

from senet.fast.convolution.winograd import LAST, SOURCE, convolved, transformed, turned, weight_gradient
from senet.fast.kernels.compiled import identity
from senet.files.cache import folder, recall, settle
from senet.processor import processor_name

__all__ = ["Class", "class_of", "described", "left_to_torch", "measured"]

MEASURED_ON = "AMD EPYC"
WIDTHS = (24, 96, 384)  # limits between the classes, in terms of the smaller channel count of a layer
LAYERS = ((32, 16, 32), (4, 64, 28), (4, 256, 14), (8, 512, 7))  # images, channels and side for each class
ROUNDS = 5
MARGIN = 0.97  # share of torch's time above which a layer is left to torch

Class = tuple[int, bool]  # index in `LAYERS`, and whether the weights are constant


def class_of(channels: int, *, constant: bool) -> Class:
    """Return the class of a layer, given the smaller of its channel counts and whether its weights are constant."""
    return bisect_left(WIDTHS, channels), constant


@cache
def left_to_torch() -> frozenset[Class]:
    """Return the classes for which torch's convolution is faster on this machine."""
    if processor_name().startswith(MEASURED_ON) or folder() is None:
        return frozenset()
    name = f"worth-{identity(SOURCE)}-{torch.__version__}"
    kept = recall(name)
    if kept is None:
        kept = settle(name, [list(each) for each in sorted(measured())])
    return frozenset((int(place), bool(constant)) for place, constant in kept or ())


def described() -> str:
    """Describe which 3x3 convolutions are left to torch in training, for the record of a run; empty if none are."""
    names = ("16 to 24", "25 to 96", "97 to 384", "more than 384")
    left = [names[place] for place, constant in sorted(left_to_torch()) if not constant]
    return f", 3x3 convolutions of {' and '.join(left)} channels left" if left else ""


@torch.no_grad()
def measured() -> set[Class]:
    """Time every class against torch in interleaved rounds; return the slower ones. Takes a few seconds of CPU time."""
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
    """Return the ratio of the best times of two functions, run in turn."""
    best = [float("inf")] * 2
    for _ in range(ROUNDS):
        for at, run in enumerate((one, other)):
            began = time.perf_counter()
            run()
            best[at] = min(best[at], time.perf_counter() - began)
    return best[0] / best[1]
