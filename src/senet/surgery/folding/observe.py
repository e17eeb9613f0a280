"""Measure how much the gates of a network vary over images, by sums over batches in float64.

Letters in shapes: n images, c channels, *s the sizes of the map.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from senet.errors import NumericError
from senet.surgery.finding.find import Found
from senet.surgery.folding.folded import FoldedBlock
from senet.surgery.gates.reading import BlockCall, Reading, reading

__all__ = ["GateSums", "observing"]


class GateSums:
    """Sums over images that describe the gate of a block by its input x and output y.

    The gate of a channel in an image is the least-squares factor between output and input, `<x, y> / <x, x>`, which
    is the block's own gate if one number scales the map, for every class of block. Maps that are zero everywhere are
    left out, since their output is the same under every gate.

    Attributes:
        images: number of images whose map was not zero, for every channel.
        energy: sum of x squared.
        product: sum of x times y; `product / energy` is the least-squares constant.
        fitted: part of `output` that one gate for each image explains.
        output: sum of y squared.
        gates: sum of the gates.
        squares: sum of the squared gates.
        calls: number of calls of the block.
        reshaped: whether an output had another shape than its input.
        inplace: whether the block overwrites its input.
        dim: channel axis of the map.
    """

    def __init__(self, channels: int, device: torch.device, *, dim: int = 1) -> None:
        def zeros() -> Float64[Tensor, " c"]:
            return torch.zeros(channels, dtype=torch.float64, device=device)

        self.images: Int64[Tensor, " c"] = torch.zeros(channels, dtype=torch.int64, device=device)
        self.energy, self.product, self.fitted, self.output = zeros(), zeros(), zeros(), zeros()
        self.gates, self.squares = zeros(), zeros()
        self.calls = 0
        self.reshaped = False
        self.inplace = False
        self.dim = dim

    def add(self, x: Float[Tensor, "n c *s"], y: Float[Tensor, "n c *s"]) -> None:
        """Add the input and the output of one call of the block."""
        self.include(Reading.of(x, y))

    @torch.no_grad()
    def include(self, read: Reading) -> None:
        """Add the sums over positions of one call of the block."""
        there = read.there
        gate = read.gate.where(there, torch.zeros_like(read.energy))
        self.images += there.sum(0)
        self.energy += read.energy.sum(0)
        self.product += read.product.sum(0)
        self.fitted += (gate * read.product).sum(0)
        self.output += read.output.sum(0)
        self.gates += gate.sum(0)
        self.squares += gate.square().sum(0)
        self.calls += 1

    def constant(self) -> Float64[Tensor, " c"]:
        """Return the constant of every channel that minimises the squared error of the block's output.

        It is the mean of the gate weighted by the energy of the map. A channel that was zero in all images gets the
        mean of the others.
        """
        there = self.energy > 0
        found = self.product[there] / self.energy[there]
        spare = found.mean() if len(found) else torch.ones((), dtype=torch.float64, device=self.energy.device)
        return spare.repeat(len(there)).index_put((there,), found)

    def mean(self) -> Float64[Tensor, " c"]:
        """Return the unweighted mean of the gate over images; NaN where the map was always zero."""
        return self.gates / self.images

    def sd(self) -> Float64[Tensor, " c"]:
        """Return the population standard deviation of the gate over images; NaN where the map was always zero."""
        return (self.squares / self.images - self.mean().square()).clamp(min=0).sqrt()

    def variation(self) -> float:
        """Return the relative error of the block's output with a constant gate, root mean square [1]."""
        lost = self.output - self.product.square() / self.energy.clamp(min=torch.finfo(torch.float64).tiny)
        return _root_of_share(lost, self.output)

    def spatial(self) -> float:
        """Return the part of that error that differs by position, so that one gate for the map cannot remove it [1]."""
        return _root_of_share(self.output - self.fitted, self.output)

    def into(self, report: FoldedBlock) -> FoldedBlock:
        """Return a copy of a report with the mean, deviation and variation of the gate."""
        return replace(
            report,
            gate_mean=float(self.mean().nanmean()),
            gate_sd=float(self.sd().square().nanmean().sqrt()),
            variation=self.variation(),
            spatial=self.spatial(),
        )


def _root_of_share(part: Tensor, whole: Tensor) -> float:
    total = float(whole.sum())
    return float((part.clamp(min=0).sum() / total).sqrt()) if total else 0.0


@contextmanager
def observing(blocks: Mapping[str, tuple[Found, nn.Module]]) -> Iterator[dict[str, GateSums]]:
    """Collect the sums of blocks while the network runs.

    Yields:
        The sums by name, updated by every batch; a block that never ran is absent.

    Raises:
        NumericError: while a batch runs, if the output of a block is not finite.
    """
    sums: dict[str, GateSums] = {}

    def add(name: str, call: BlockCall) -> None:
        if name not in sums:
            device = torch.device("cpu") if call.x is None else call.x.device
            sums[name] = GateSums(blocks[name][0].channels, device, dim=call.dim)
        own = sums[name]
        if call.x is None or call.y is None:
            own.reshaped = True
            return
        own.inplace |= call.inplace
        own.add(call.x, call.y)
        if not bool(own.output.isfinite().all()):
            raise NumericError(
                f"{name} returns values that are not finite; test the network on these images before it is folded."
            )

    with reading(blocks, add):
        yield sums
