"""The time of one image in torch and in exported files, in turns, on one thread."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from senet.exporting.example import Example
from senet.networks.exported_network import ExportedNetwork
from senet.speed.interleave import interleave
from senet.speed.threads import torch_threads

__all__ = ["Latency", "latency"]

ROUNDS = 15


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Process times of a batch, the smallest that the file takes, on one thread.

    Attributes:
        images: images of the batch.
        ms: median time of every candidate, `torch` first [ms].
        ratios: median and quartiles over the rounds of a candidate's time over that of the one before it [1].
    """

    images: int
    ms: Mapping[str, float]
    ratios: Mapping[str, tuple[float, float, float]]

    def __str__(self) -> str:
        said = [f"{name} {time:.2f} ms" for name, time in self.ms.items()]
        names = list(self.ms)
        for at, (name, (ratio, low, high)) in enumerate(self.ratios.items()):
            said[at + 1] += f", {ratio:.2f} [quartiles {low:.2f} to {high:.2f}] of {names[names.index(name) - 1]}"
        return f"{self.images} image{'s' * (self.images > 1)} on one thread: {'; '.join(said)}"


def latency(model: nn.Module, files: Mapping[str, Path | bytes], example: Example) -> Latency:
    """Time a network and its exported files in turns.

    Args:
        model: the network.
        files: ONNX files, or their content, by name.
        example: the input of the export.
    """
    x = example.images(example.batches[0])
    networks = {"torch": model, **{name: ExportedNetwork(file, threads=1) for name, file in files.items()}}
    with torch_threads(1), torch.no_grad():
        runs = {name: partial(network, x) for name, network in networks.items()}
        found = interleave(runs, rounds=ROUNDS)
    ratios = {
        name: (found[name].ratio(found[before]), *found[name].spread(found[before])) for before, name in pairwise(found)
    }
    return Latency(images=len(x), ms={name: 1e3 * one.median for name, one in found.items()}, ratios=ratios)
