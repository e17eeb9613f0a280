"""The time of one image in onnxruntime beside torch's, in turns, on one thread."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from senet.exporting.example import Example
from senet.networks.exported_network import ExportedNetwork
from senet.speed.interleave import Timing, interleave

__all__ = ["Latency", "latency", "one_thread", "timed"]

ROUNDS = 15


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Process times of a batch, the smallest that the file takes, on one thread.

    Attributes:
        images: images of the batch.
        runtime_ms: median in onnxruntime [ms].
        torch_ms: median in torch [ms].
        ratio: median over the rounds of onnxruntime's time over torch's [1].
        low: lower quartile of that ratio.
        high: upper quartile.
    """

    images: int
    runtime_ms: float
    torch_ms: float
    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.images} image{'s' * (self.images > 1)} on one thread: onnxruntime {self.runtime_ms:.2f} ms, torch "
            f"{self.torch_ms:.2f} ms, ratio {self.ratio:.2f} [quartiles {self.low:.2f} to {self.high:.2f}]"
        )


def latency(model: nn.Module, file: Path, example: Example) -> Latency:
    """Time an exported file and its network.

    Args:
        model: the network.
        file: the ONNX file.
        example: the input of the export.
    """
    found = timed({"onnxruntime": ExportedNetwork(file, threads=1), "torch": model}, example)
    mine, theirs = found["onnxruntime"], found["torch"]
    low, high = mine.spread(theirs)
    return Latency(
        images=example.batches[0],
        runtime_ms=1e3 * mine.median,
        torch_ms=1e3 * theirs.median,
        ratio=mine.ratio(theirs),
        low=low,
        high=high,
    )


def timed(networks: Mapping[str, nn.Module], example: Example, *, rounds: int = ROUNDS) -> dict[str, Timing]:
    """Time networks in turns on the smallest batch that a file takes, on one thread."""
    x = example.images(example.batches[0])
    with one_thread(), torch.no_grad():
        return interleave({name: lambda net=net: net(x) for name, net in networks.items()}, rounds=rounds)  # type: ignore[misc]


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread in torch for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
