"""Estimate the share of a network's running time that its blocks take on this machine.

The estimate is rough: the median of a few passes, which other load on the machine disturbs.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

__all__ = ["time_percents"]

RUNS = 3  # timed passes; the median counts


def time_percents(model: nn.Module, blocks: Mapping[str, nn.Module], x: Tensor) -> dict[str, float]:
    """Run a network a few times and return the share of each block in its running time [%]."""
    _times(model, blocks, x)  # warms up
    times: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(RUNS):
        spent, whole = _times(model, blocks, x)
        for name in blocks:
            times[name].append(100 * spent[name] / whole)
    return {name: median(times[name]) for name in blocks}


@torch.no_grad()
def _times(model: nn.Module, blocks: Mapping[str, nn.Module], x: Tensor) -> tuple[dict[str, float], float]:
    """Return the times of every block and of the network in one pass [s]."""
    spent, started = dict.fromkeys(blocks, 0.0), dict.fromkeys(blocks, 0.0)

    def now() -> float:
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        return perf_counter()

    def start(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(_: nn.Module, args: tuple[object, ...]) -> None:
            started[name] = now()

        return hook

    def stop(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(_: nn.Module, args: tuple[object, ...], out: object) -> None:
            spent[name] += now() - started[name]

        return hook

    handles = []
    for name, block in blocks.items():
        handles.append(block.register_forward_pre_hook(start(name)))
        handles.append(block.register_forward_hook(stop(name)))
    begin = now()
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return spent, now() - begin
