"""What blocks cost in a network as it runs here and now: multiply-adds, elements of maps, share of the time.

The share of the time is rough: a few passes on whatever the machine does besides. `senet.cost` counts exactly.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

__all__ = ["BlockProfile", "profile"]

RUNS = 3  # timed passes; the median counts
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True, kw_only=True)
class BlockProfile:
    """Cost of one block.

    Attributes:
        macs: multiply-adds of its convolutions and linear maps for one image [MAC].
        map_elements: elements of its input for one image [1].
        time_percent: share of the network's time [%].
    """

    macs: int
    map_elements: int
    time_percent: float


def profile(model: nn.Module, blocks: Mapping[str, nn.Module], x: Tensor) -> dict[str, BlockProfile]:
    """Run a network a few times and measure its blocks.

    Args:
        model: in evaluation mode.
        blocks: by name.
        x: images.
    """
    macs, elements = _counts(model, blocks, x)
    times: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(RUNS):
        spent, whole = _times(model, blocks, x)
        for name in blocks:
            times[name].append(100 * spent[name] / whole)
    return {
        name: BlockProfile(macs=macs[name], map_elements=elements[name], time_percent=median(times[name]))
        for name in blocks
    }


@torch.no_grad()
def _counts(model: nn.Module, blocks: Mapping[str, nn.Module], x: Tensor) -> tuple[dict[str, int], dict[str, int]]:
    """Count multiply-adds of layers and elements of maps in one pass; it also warms up."""
    macs, elements = dict.fromkeys(blocks, 0), dict.fromkeys(blocks, 0)

    def layer_hook(name: str) -> Callable[[nn.Module, tuple[object, ...], Tensor], None]:
        def hook(layer: nn.Module, args: tuple[object, ...], out: Tensor) -> None:
            weight = layer.weight
            assert isinstance(weight, Tensor)
            macs[name] += out.numel() // len(x) * prod(weight.shape[1:])

        return hook

    def block_hook(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(_: nn.Module, args: tuple[object, ...]) -> None:
            elements[name] += args[0].numel() // len(x) if args and isinstance(args[0], Tensor) else 0

        return hook

    handles = []
    for name, block in blocks.items():
        handles.append(block.register_forward_pre_hook(block_hook(name)))
        handles += [
            layer.register_forward_hook(layer_hook(name)) for layer in block.modules() if isinstance(layer, LAYERS)
        ]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return macs, elements


@torch.no_grad()
def _times(model: nn.Module, blocks: Mapping[str, nn.Module], x: Tensor) -> tuple[dict[str, float], float]:
    """Take the seconds of every block and of the network in one pass."""
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
