"""Replace the gates of one block by others, and measure what changes for each image.

Letters in shapes: n images, c channels, k classes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from senet.explanation.class_sums import Moments
from senet.surgery.folding.constants import put
from senet.surgery.folding.folded import Z, paired_interval
from senet.surgery.gates.reading import Reading, channel_dim

__all__ = [
    "INTERVENTIONS",
    "REPLACED",
    "Change",
    "Effect",
    "ImageGates",
    "Outcome",
    "effect",
    "outcome",
    "replaced",
    "substitutes",
    "zeroed",
]

REPLACED = ("constant", "identity", "shuffle", "class_mean")
"""What takes the place of the gates of one block: constants, 1, those of another image, the means of the other images
of the class."""

INTERVENTIONS = (*REPLACED, "stages")
"""The same, and constants in all blocks of a stage at once."""

Change = tuple[float, float, float]
"""A change, and the lower and upper end of its 95 % interval."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Losses of images [nats], and which are classified correctly."""

    loss: Float64[Tensor, " n"]
    right: Bool[Tensor, " n"]

    def __getitem__(self, rows: Int64[Tensor, " m"]) -> "Outcome":
        return Outcome(self.loss[rows], self.right[rows])


@dataclass(frozen=True)
class Effect:
    """The change from the original network to a changed one on the same images.

    Attributes:
        loss: change of the loss [nats]; more is worse.
        top1: change of the top-1 accuracy [percentage points]; less is worse.
        images: number of images.
    """

    loss: Change
    top1: Change
    images: int


def outcome(logits: Float[Tensor, "n k"], labels: Int64[Tensor, " n"]) -> Outcome:
    """Return the outcome of images from the outputs of a network."""
    wide = logits.double().cpu()
    return Outcome(F.cross_entropy(wide, labels, reduction="none"), wide.argmax(1) == labels)


def effect(before: Outcome, after: Outcome) -> Effect:
    """Return the paired change between two networks on the same images; its intervals are normal and Bonett-Price."""
    apart = after.loss - before.loss
    number, mean = len(apart), float(apart.mean())
    half = Z * float(apart.std()) / sqrt(number) if number > 1 else float("nan")
    worse, better = int((before.right & ~after.right).sum()), int((~before.right & after.right).sum())
    lost, low, high = paired_interval(worse, better, number)
    return Effect((mean, mean - half, mean + half), (-lost, -high, -low), number)


class ImageGates(nn.Module):
    """Multiply the channels of each image by given gates; takes the place of a block.

    Args:
        gates: the gates `(n, c)`, or `(1, c)` for all images.
        dim: channel axis of the map.
    """

    def __init__(self, gates: Tensor, *, dim: int) -> None:
        super().__init__()
        self.gates = gates
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Return the map with every channel multiplied by the gate of its image."""
        gates = self.gates.to(x.device, x.dtype).view(*self.gates.shape, *[1] * (x.ndim - 2))
        return x * gates.movedim(1, self.dim)


class _ClassMean(nn.Module):
    """Run a block and scale its map by the mean gate of the other images of the class, or a constant where it is alone.

    With its own gate in it, the mean of a class with few images would be nearly the gate of the image itself.
    """

    def __init__(self, block: nn.Module, mean: Tensor, number: Tensor, constant: Tensor, *, dim: int) -> None:
        super().__init__()
        self.__dict__["block"] = block  # not a child: the block keeps its one name
        self.mean, self.number, self.constant, self.dim = mean, number, constant, dim

    def forward(self, x: Tensor) -> Tensor:
        before, y = x.clone(), self.__dict__["block"](x)
        own = Reading.of(before.movedim(self.dim, 1), y.movedim(self.dim, 1)).gate.cpu()
        others = self.number - (~own.isnan()).double()
        mean = (self.number * self.mean - own.nan_to_num(nan=0.0)) / others
        gates = torch.where(others > 0, mean, self.constant)
        scaled: Tensor = ImageGates(gates, dim=self.dim)(before)
        return scaled


class _Masked(nn.Module):
    """Run a block and set a share of its channels to zero, in an order by their gates."""

    def __init__(self, block: nn.Module, channels: int, share: float, order: str, random: torch.Generator) -> None:
        super().__init__()
        self.__dict__["block"] = block  # not a child: the block keeps its one name
        self.channels, self.share, self.order, self.random = channels, share, order, random

    def forward(self, x: Tensor) -> Tensor:
        before, y = x.clone(), self.__dict__["block"](x)
        dim = channel_dim(self.channels, before)
        gate = Reading.of(before.movedim(dim, 1), y.movedim(dim, 1)).gate.nan_to_num(nan=0.0)
        if self.order == "random":
            gate = torch.rand(gate.shape, generator=self.random, dtype=gate.dtype).to(gate.device)
        order = gate.argsort(1, descending=self.order == "falling")
        gone = order[:, : round(self.share * self.channels)]
        mask = torch.ones_like(gate).scatter_(1, gone, 0.0)
        masked: Tensor = ImageGates(mask, dim=dim)(y)
        return masked


@contextmanager
def replaced(model: nn.Module, name: str, module: nn.Module) -> Iterator[None]:
    """Put a module in the place of a block inside the context."""
    block = model.get_submodule(name)
    put(model, name, module)
    try:
        yield
    finally:
        put(model, name, block)


def zeroed(block: nn.Module, channels: int, share: float, order: str, *, seed: int) -> nn.Module:
    """Return a module that runs a block and sets a share of its channels to zero for each image.

    Args:
        block: the block.
        channels: its channels.
        share: share of the channels that are set to zero.
        order: `rising` (smallest gates first), `falling` (largest first) or `random`.
        seed: of the random order.
    """
    return _Masked(block, channels, share, order, torch.Generator().manual_seed(seed))


Substitute = Callable[[Int64[Tensor, " n"], Int64[Tensor, " n"]], nn.Module]
"""A function of the numbers and the classes of images that returns the module to put in the place of the block."""


def substitutes(
    block: nn.Module,
    *,
    dim: int,
    gate: Tensor,
    index: Int64[Tensor, " m"],
    constant: Float64[Tensor, " c"],
    classes: Moments,
) -> Mapping[str, Substitute]:
    """Return for each of `REPLACED` what takes the place of a block.

    Args:
        block: the block.
        dim: channel axis of its map.
        gate: gates of a sample of images `(m, c)`; NaN where there is none.
        index: numbers of these images.
        constant: least-squares constant of every channel.
        classes: sums of the gates by class.
    """
    known = torch.where(gate.isnan(), constant.to(gate.dtype), gate)
    place = {number: row for row, number in enumerate(index.tolist())}
    random = torch.Generator().manual_seed(0)

    def of_all(gates: Tensor) -> Substitute:
        return lambda numbers, rows: ImageGates(gates, dim=dim)

    def shuffle(numbers: Tensor, rows: Tensor) -> nn.Module:
        own = torch.tensor([place.get(number, len(known)) for number in numbers.tolist()])
        draw = (torch.rand(len(own), generator=random) * (len(known) - (own < len(known)).long())).long()
        return ImageGates(known[(draw + (draw >= own)).clamp(max=len(known) - 1)], dim=dim)

    def class_mean(numbers: Tensor, rows: Tensor) -> nn.Module:
        return _ClassMean(block, classes.mean[rows].nan_to_num(nan=0.0), classes.number[rows], constant, dim=dim)

    return {
        "constant": of_all(constant.unsqueeze(0)),
        "identity": of_all(torch.ones(1, len(constant))),
        "shuffle": shuffle,
        "class_mean": class_mean,
    }
