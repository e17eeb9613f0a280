"""The input on which a network is exported: its shape, and the sizes that may change.

Letters in shapes: n images, c channels, *s sizes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.dataflow.example import guesses
from senet.errors import SpecError, reason_of, shown
from senet.surgery.folding.answers import main_output

__all__ = ["AXES", "BATCHES", "Example", "example", "output_of"]

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of the sizes of an image, by their number."""
BATCHES = (1, 2, 5)
"""Batch sizes on which an exported file is checked."""
BATCH = 2
"""Images in the example: torch.export takes a batch of 1 as a constant, in silence (pytorch issue 157621)."""
STEP = 32  # pixels; most networks halve their maps five times


@dataclass(frozen=True, kw_only=True)
class Example:
    """The input of an export.

    Attributes:
        shape: shape of the example, `(n, c, ...)`.
        batch: whether the batch size may change.
        size: whether the sizes of the image may change.
    """

    shape: tuple[int, ...]
    batch: bool = True
    size: bool = False

    @property
    def axes(self) -> dict[int, str]:
        """Names of the dimensions that may change, by their number."""
        names = AXES.get(len(self.shape) - 2, ())
        return {
            **({0: "batch"} if self.batch else {}),
            **({2 + at: name for at, name in enumerate(names)} if self.size else {}),
        }

    @property
    def batches(self) -> tuple[int, ...]:
        """Batch sizes that the exported file takes and is checked on."""
        return BATCHES if self.batch else (self.shape[0],)

    def images(self, number: int, *, sizes: Sequence[int] | None = None, seed: int = 0) -> Float[Tensor, "n c *s"]:
        """Return random images.

        Args:
            number: of images.
            sizes: their sizes; None means those of the example.
            seed: of the random numbers.
        """
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(number, self.shape[1], *(sizes or self.shape[2:]), generator=generator)

    def others(self) -> Iterator[tuple[int, ...]]:
        """Yield other sizes than those of the example that a network may take, the smallest first."""
        for factor in (1, 2, 3):
            yield tuple(side + factor * STEP for side in self.shape[2:])


def example(model: nn.Module, *, shape: Sequence[int] | None, static: bool, dynamic_size: bool) -> Example:
    """Choose the input of an export.

    Args:
        model: the network, in evaluation mode, on the CPU.
        shape: shape of the input, `(n, c, ...)`; None tries the network's own input size and common ones. With a
            batch size that may change, n does not count.
        static: whether the batch size is that of `shape`.
        dynamic_size: whether the sizes of the image may change.

    Raises:
        SpecError: if the network does not run on the shape, or no tensor is its first or main output.
    """
    if shape is not None and (len(shape) < 3 or not all(isinstance(n, int) and n > 0 for n in shape)):
        raise SpecError(f"shape = {shown(tuple(shape))} is not a shape of images; pass (1, c, h, w), all at least 1.")
    shapes = guesses(model) if shape is None else [tuple(shape)]
    reason = ""
    for one in shapes:
        found = Example(shape=one if static else (BATCH, *one[1:]), batch=not static, size=dynamic_size)
        try:
            output_of(model, found.images(found.shape[0]))
        except SpecError:
            raise
        except Exception as error:  # other libraries' networks may raise any error
            reason = reason or reason_of(error)
        else:
            return found
    given = " and ".join(map(str, shapes))
    raise SpecError(
        f"{type(model).__name__} does not run on an input of shape {given}: {reason}; pass shape=(1, c, h, w)."
    )


@torch.no_grad()
def output_of(model: nn.Module, x: Float[Tensor, "n c *s"]) -> Tensor:
    """Return the main output of a network, as `senet.fold` compares it.

    Raises:
        SpecError: if it is not a tensor.
    """
    found = main_output(model(x.clone()))
    if not isinstance(found, Tensor):
        raise SpecError(
            f"{type(model).__name__} returns a {type(found).__name__}; wrap the network to return one tensor, alone, "
            "first, or under 'logits' or 'out'."
        )
    return found
