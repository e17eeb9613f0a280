"""Hold the result of an insertion as values: the place and cost of each block, and the skipped units."""

from collections.abc import Iterator
from dataclasses import dataclass

from senet.dataflow.units import Skipped
from senet.printed import Printed
from senet.spec import SESpec
from senet.surgery.insertion.drawing import insertion_text

__all__ = ["Insertion", "PlannedBlock"]


@dataclass(frozen=True, kw_only=True)
class PlannedBlock:
    """One planned or inserted block.

    Attributes:
        name: path of the block in the network.
        unit: path of the unit it belongs to; empty for the network itself.
        host: path of the module whose child it is.
        side: whether it gates the `output` of the host or its `input`.
        slot: slot in the unit.
        stage: stage of the unit, from 1; a stage is all units of one map size, in the order of their first unit.
        number: number of its place within the stage, from 1; places without a block count.
        spec: its design, with one ratio.
        channels: channels of the map.
        widths: widths of its excitation, `(channels, hidden, ..., channels)`.
        resolution: sizes of the map [pixels].
        channels_last: whether channels are the last axis of the map.
        params: its parameters [1].
        macs: its multiply-adds for one image [MAC].
    """

    name: str
    unit: str
    host: str
    side: str
    slot: str
    stage: int
    number: int
    spec: SESpec
    channels: int
    widths: tuple[int, ...]
    resolution: tuple[int, ...]
    channels_last: bool
    params: int
    macs: int


@dataclass(frozen=True, kw_only=True, repr=False)
class Insertion(Printed):
    """The blocks of one insertion, planned or done; iterable, and printed as a drawing with a table.

    Attributes:
        blocks: the blocks in the order of a forward pass.
        skipped: places without a block, with the reason.
        shape: shape of the input on which the network ran.
        convolutions: convolutions that run in the network [1].
        gated: those of them in units with a block, new or existing [1].
    """

    blocks: tuple[PlannedBlock, ...]
    skipped: tuple[Skipped, ...]
    shape: tuple[int, ...]
    convolutions: int
    gated: int

    def __str__(self) -> str:
        return insertion_text(self)

    def __iter__(self) -> Iterator[PlannedBlock]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """Paths of the blocks in the network."""
        return tuple(block.name for block in self.blocks)

    @property
    def params(self) -> int:
        """Parameters the blocks add [1]."""
        return sum(block.params for block in self.blocks)

    @property
    def macs(self) -> int:
        """Multiply-adds of one image the blocks add [MAC]."""
        return sum(block.macs for block in self.blocks)
