"""Run a network on batches and read its blocks. Letters in shapes: n images, c channels, h hidden units, k classes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64
from torch import Tensor, nn

from senet.errors import NumericError
from senet.explanation.excitation import Excited, exciting, logits_of
from senet.surgery.finding.find import Found
from senet.surgery.gates.reading import BlockCall, Reading, reading

__all__ = ["Observed", "Observer", "observing"]


@dataclass(frozen=True, eq=False)
class Observed:
    """One block on one batch.

    Attributes:
        reading: sums over positions of its input and output.
        gate: its gate `(n, c)`; NaN where the map is zero everywhere.
        logits: the values before the gate function `(n, c)`.
        own_logits: whether they were read from its last layer; else they are computed from the gate.
        hidden: which hidden units fire, for each hidden layer `(n, h)`.
    """

    reading: Reading
    gate: Float64[Tensor, "n c"]
    logits: Float64[Tensor, "n c"]
    own_logits: bool
    hidden: tuple[Bool[Tensor, "n h"], ...]


class Observer:
    """The readings of the current batch.

    Attributes:
        strange: names of blocks that did not run exactly once for a batch, from one map to one of the same shape.
        dims: channel axis of the map of each block.
    """

    def __init__(self, excited: dict[str, Excited]) -> None:
        self.excited = excited
        self.calls: dict[str, list[tuple[Reading | None, int]]] = {}
        self.strange: set[str] = set()
        self.dims: dict[str, int] = {}

    def note(self, name: str, call: BlockCall) -> None:
        """Keep the sums of one call of a block."""
        read = None if call.x is None or call.y is None else Reading.of(call.x, call.y)
        if read is not None and not bool(read.output.isfinite().all() & read.energy.isfinite().all()):
            raise NumericError(
                f"{name or 'the network'} gives values that are not finite; test the network on these images first."
            )
        self.dims[name] = call.dim
        self.calls.setdefault(name, []).append((read, call.dim))

    def take(self, names: Mapping[str, object]) -> dict[str, Observed]:
        """Return the readings of the blocks that ran once in this batch, and forget them."""
        found = {}
        for name in names:
            calls = self.calls.get(name, [])
            if len(calls) != 1 or calls[0][0] is None:
                self.strange.add(name)
                continue
            read, excited = _on_cpu(calls[0][0]), self.excited.get(name, Excited())
            gate = read.gate
            own = excited.logits is not None and len(excited.logits) == len(gate)
            hidden = tuple(excited.hidden[number] for number in sorted(excited.hidden))
            logits = excited.logits if own and excited.logits is not None else logits_of(gate)
            found[name] = Observed(read, gate, logits, own, hidden)
        self.calls.clear()
        self.excited.clear()
        return found


@contextmanager
def observing(blocks: Mapping[str, tuple[Found, nn.Module]]) -> Iterator[Observer]:
    """Read blocks while the network runs.

    Args:
        blocks: the blocks by name.

    Raises:
        NumericError: while a batch runs, if the input or the output of a block is not finite.
    """
    with exciting(blocks) as excited:
        observer = Observer(excited)
        with reading(blocks, observer.note):
            yield observer


def _on_cpu(read: Reading) -> Reading:
    if read.energy.device == torch.device("cpu"):
        return read
    return Reading(read.energy.cpu(), read.product.cpu(), read.output.cpu(), read.total.cpu(), read.positions)
