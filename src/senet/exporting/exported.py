"""`Exported`: the report of an export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from senet.exporting.checking import Check
from senet.exporting.hard_gates import HardGates
from senet.exporting.int8.report import Quantized
from senet.exporting.latency import Latency
from senet.printed import Printed
from senet.surgery import Folded
from senet.tables import Table

__all__ = ["Exported"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Exported(Printed):
    """The report of `export`.

    Attributes:
        path: the file.
        bytes: its size, with the file of its weights if there is one [bytes].
        checks: the comparisons with the network, all within the limit.
        blocks: nodes of every block, by its name; empty for `.pt2`.
        latency: time of one image in torch, in onnxruntime, and there with hard gates or in int8; None for `.pt2`.
        folded: report of the fold; None without one.
        gates: report of the replacement of gates by hard ones; None without one. Then the checks are of the file
            before.
        int8: report of the quantisation; None without one. Then the checks are of the file in float that was quantised.
        notes: remarks, one sentence each.
    """

    path: Path
    bytes: int
    checks: tuple[Check, ...]
    blocks: Mapping[str, Sequence[str]]
    latency: Latency | None = None
    folded: Folded | None = None
    gates: HardGates | None = None
    int8: Quantized | None = None
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """Largest relative difference of all comparisons [1]."""
        return max(one.error for one in self.checks)

    def table(self) -> Table:
        """Return the comparisons with the network."""
        heads = ("weights", "images", "batch", "difference", "allowed", "classes agree")
        rows = [
            [
                one.weights,
                one.images,
                "x".join(map(str, one.shape)),
                f"{one.error:.1e}",
                f"{one.allowed:.1e}",
                f"{one.agree} of {one.shape[0]}",
            ]
            for one in self.checks
        ]
        return Table(heads, rows, words=("images", "batch"), spare=("allowed",))

    def __str__(self) -> str:
        images = sum(one.shape[0] for one in self.checks)
        lines = [
            f"{self.path}: {self.bytes / 2**20:.2f} MiB; {len(self.checks)} batches with {images} images agree with "
            f"the network, largest relative difference {self.error:.1e}",
            *([str(self.latency)] if self.latency else []),
            *([str(self.gates)] if self.gates else []),
            *([str(self.int8)] if self.int8 else []),
            *(f"- {note}" for note in self.notes),
        ]
        return "\n".join(lines)
