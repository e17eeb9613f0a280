"""Memory: activations saved for the backward pass, peak use, minimum traffic, and copy bandwidth."""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from senet.dataflow.kept import keeping
from senet.nn.layers import LAYERS

__all__ = ["bandwidth", "moved_bytes", "peak_bytes", "saved_bytes"]


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    """Return the memory that a forward pass keeps for the backward pass [bytes], without parameters.

    Returns:
        The total size of the saved storages, each counted once [bytes].
    """
    kept: list[torch.UntypedStorage] = []
    with keeping(kept.append):
        model(x)
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    return sum(storage.nbytes() for storage in kept if storage.data_ptr() not in parameters)


def peak_bytes(run: Callable[[], object], device: str) -> int | None:
    """Return the peak memory of a step on a GPU [bytes]; None on a CPU, where torch does not track it."""
    if not device.startswith("cuda"):
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device))


def moved_bytes(model: nn.Module, x: Tensor, *, train: bool) -> int:
    """Return the minimum memory traffic of a network: the maps and weights of its convolutions and linear layers.

    Norms, activations, blocks and sums count as zero, as if they were fused into their neighbours. A training step
    counts three times a forward pass: the gradients of inputs and of weights each move as much again.

    Returns:
        The bytes read and written [bytes].
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weights = sum(parameter.nbytes for parameter in layer.parameters(recurse=False))
        total += inputs[0].nbytes + output.nbytes + weights

    handles: list[RemovableHandle] = [
        layer.register_forward_hook(count) for layer in model.modules() if isinstance(layer, LAYERS)
    ]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return 3 * total if train else total


def bandwidth(device: str, *, size: int = 2**28, rounds: int = 7) -> float:
    """Measure the copy bandwidth of a device [B/s]; bytes read and bytes written both count.

    Args:
        device: `cpu`, `cuda`, `cuda:1`.
        size: bytes to copy; must exceed the caches.
        rounds: copies to time; the fastest one counts.
    """
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(rounds):
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        target.copy_(source)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - began)
    return 2 * size / best
