"""What designs cost on one machine: time of a training step and of inference, and saved memory, against a baseline."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from senet import settings
from senet.errors import CheckpointError, SpecError, reason_of
from senet.experiments.environment import Environment
from senet.experiments.run import Run
from senet.files.documents import DocumentError, parse_json, read_text

__all__ = [
    "COSTS",
    "Conditions",
    "MeasuredCosts",
    "NetworkCost",
    "Ratio",
    "TreatedCost",
    "network_key",
    "read_costs",
]

COSTS = "costs.jsonl"
"""File of measurements, one a line: of all in a folder of runs, and of one in a report."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A time against that of the baseline in the same round, over all rounds.

    Attributes:
        median: median of the ratios [1].
        low: their lower quartile.
        high: their upper quartile.
    """

    median: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.median <= self.high < 1e9:
            raise SpecError(f"quartiles {self.low:g}, {self.median:g}, {self.high:g} are not positive and ascending.")


@dataclass(frozen=True, kw_only=True)
class TreatedCost:
    """What a network costs as it is, or optimized; ratios are to the baseline with the same treatment.

    Attributes:
        step_ms: median time of a training step [ms].
        step: its ratio.
        latency_ms: median time of the inference of one image [ms].
        latency: its ratio.
        saved_mb: memory that the forward pass of a step keeps for the backward pass [MB].
        saved: its ratio [1].
    """

    step_ms: float
    step: Ratio
    latency_ms: float
    latency: Ratio
    saved_mb: float
    saved: float


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """What one network costs.

    Attributes:
        network: its key, see `network_key`.
        ordinary: as torch runs it.
        optimized: its training by `senet.accelerate`, its inference by `senet.optimize`.
    """

    network: str
    ordinary: TreatedCost
    optimized: TreatedCost


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How costs were measured.

    Attributes:
        environment: device, threads, versions.
        processor: name of the processor.
        batch: images of a training step.
        shape: channels, rows and columns of an image.
        step_rounds: rounds of training steps, one of each network in a round.
        latency_rounds: rounds of inferences.
        latency_repeats: inferences of one network in a round, one after the other.
    """

    environment: Environment
    processor: str
    batch: int
    shape: tuple[int, int, int]
    step_rounds: int
    latency_rounds: int
    latency_repeats: int


@dataclass(frozen=True, kw_only=True)
class MeasuredCosts:
    """A measurement of several networks in turns.

    Attributes:
        conditions: how it was done.
        networks: the baseline first.
        notes: remarks, e.g. which network could not be optimized.
    """

    conditions: Conditions
    networks: tuple[NetworkCost, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def baseline(self) -> str:
        """The key of the network that the others are compared with."""
        return self.networks[0].network

    def of(self, run: Run) -> NetworkCost | None:
        """Return the cost of the network of a run; None if it was not measured."""
        key = network_key(run)
        return next((one for one in self.networks if one.network == key), None)

    def covers(self, runs: list[Run]) -> bool:
        """Return whether all networks of runs were measured against that of the first run."""
        return network_key(runs[0]) == self.baseline and all(self.of(run) is not None for run in runs)

    def line(self) -> str:
        """Return the measurement as a line of JSON."""
        return json.dumps(asdict(self), allow_nan=False)


def network_key(run: Run) -> str:
    """Return a hash of what a step of a run depends on: all but the seed and the number of epochs."""
    same = replace(run, seed=0, recipe=replace(run.recipe, epochs=1, schedule=type(run.recipe.schedule)()))
    return hashlib.sha256(same.id.encode()).hexdigest()[:12]


def read_costs(path: Path) -> list[MeasuredCosts]:
    """Read a file of measurements; empty if there is none.

    Raises:
        CheckpointError: if a line is not a measurement.
    """
    try:
        lines = read_text(path).splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, DocumentError) as error:
        raise CheckpointError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            values = parse_json(line)
            if not isinstance(values, dict) or not values.get("networks"):
                raise SpecError("a table with networks is needed.")
            found.append(settings.record(MeasuredCosts, values))
        except (ValueError, TypeError, RecursionError) as error:
            reason = reason_of(error, whole=True)
            raise CheckpointError(
                f"{path}:{number} is not a measurement of costs: {reason}; remove the line: it is measured again."
            ) from None
    return found
