"""The report of a quantisation: the precision of every block and layer, and the curve of the search."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from senet.errors import NumericError, SpecError
from senet.exporting.int8.units import Precision
from senet.printed import Printed
from senet.surgery.folding.folded import Measure, Step

__all__ = ["BoundError", "Int8", "Part", "Quantized", "decibel", "nearest"]


@dataclass(frozen=True, kw_only=True)
class Int8:
    """How a network is quantised.

    Attributes:
        calibrate: images to measure the ranges of the values on.
        rank: the first of them, to rank blocks and layers on.
        max_drop: largest loss of top-1 at the upper end of its 95 % interval [percentage points].
        reduce_range: weights of 7 bits; None uses them where the CPU lacks VNNI.
    """

    calibrate: int = 512
    rank: int = 128
    max_drop: float = 0.5
    reduce_range: bool | None = None

    def __post_init__(self) -> None:
        for name in ("calibrate", "rank"):
            if not getattr(self, name) >= 1:
                raise SpecError(f"{name} = {getattr(self, name)} is too few; use at least one image.")
        if not 0 < self.max_drop <= 100:
            raise SpecError(f"max_drop = {self.max_drop} is not possible; use a number above 0 and at most 100 points.")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One block or layer.

    Attributes:
        name: of the block, or of the layer's node.
        block: whether it is a block.
        precision: the one that was chosen.
        snr: ratio of signal to noise of the outputs with this part alone in int8 [dB].
        weights: elements of its weights [1].
    """

    name: str
    block: bool
    precision: Precision
    snr: float
    weights: int


@dataclass(frozen=True, kw_only=True, repr=False)
class Quantized(Printed):
    """The report of a quantisation.

    Attributes:
        parts: blocks, then layers, each in the order of the network.
        curve: all measured networks by their share of weights in int8; `blocks` is the number of parts that are not
            whole in int8, `params` the number of weights in int8.
        plain: the network with everything in int8.
        gates: the network with everything but gates in int8, where the search starts.
        chosen: the network of the file; None if none is within the bound.
        measure: meaning of a loss, see `senet.Folded`.
        correct: test images that the network in float classifies correctly [1]; None without labels.
        images: test images [1].
        calibrated: images that the ranges were measured on [1].
        settings: as given.
        reduce_range: whether weights have 7 bits.
        weights: elements of all weights of layers and blocks [1].
        bytes: size of the file in float, of that with everything in int8, and of the chosen one, if any [bytes].
        folded: blocks that were folded before.
        notes: remarks, one sentence each.
    """

    parts: tuple[Part, ...]
    curve: tuple[Step, ...]
    plain: Step
    gates: Step
    chosen: Step | None
    measure: Measure
    correct: int | None
    images: int
    calibrated: int
    settings: Int8
    reduce_range: bool
    weights: int
    bytes: Mapping[str, int]
    folded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> Step:
        """The measured network with the smallest upper end of the interval, of equals that with the most in int8."""
        return min(self.curve, key=nearest)

    def share(self, step: Step) -> float:
        """Return the share of weights in int8 [percent]."""
        return 100 * step.params / self.weights if self.weights else 0.0

    def __str__(self) -> str:
        lines = [
            f"{name}: {self.share(step):.1f} % of weights in int8, {self.measure} {step.loss:+.2f} "
            f"[{step.low:+.2f}, {step.high:+.2f}] points lost"
            for name, step in (("chosen", self.chosen), ("gates in float", self.gates), ("plain int8", self.plain))
            if step is not None
        ]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])

    def as_dict(self) -> Mapping[str, Any]:
        """Return the report as values that JSON can represent; an infinite ratio is None."""
        values = asdict(self)
        for part in values["parts"]:
            part["snr"] = part["snr"] if math.isfinite(part["snr"]) else None
        return values


def nearest(step: Step) -> tuple[float, int]:
    """Return a key to sort networks by: the smallest upper end first, then the most weights in int8."""
    return step.high, -step.params


class BoundError(NumericError):
    """No measured network is within the bound.

    Attributes:
        report: what was measured, with the precisions of the best network; its `chosen` is None.
    """

    def __init__(self, report: Quantized) -> None:
        best = report.best
        super().__init__(
            f"no int8 network loses at most {report.settings.max_drop:g} points (max_drop, --max-drop): the best of "
            f"{len(report.curve)}, {best.name}, lost {best.loss:+.2f} with the interval {best.low:+.2f} to "
            f"{best.high:+.2f}; use a larger bound, more test images, or leave int8 out."
        )
        self.report = report


def decibel(error: float) -> float:
    """Return the ratio of signal to noise of a relative error [dB].

    Example:
        >>> round(decibel(0.1), 6)
        20.0
    """
    return -20 * math.log10(error) if error else math.inf
