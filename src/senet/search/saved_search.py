"""Read the part of `search.json` that is needed to write the report of a search again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from senet import settings
from senet.errors import CheckpointError, SpecError, UsageError
from senet.experiments.result import MOST_LOSS, MOST_PARAMS, MOST_SECONDS, within
from senet.files.documents import DocumentError, parse_json, read_text

__all__ = ["SavedDesign", "SavedScore", "SavedSearch", "SavedShared", "read_saved_search"]


@dataclass(frozen=True, kw_only=True)
class SavedDesign:
    """A design that a search has trained, to the end or not.

    Attributes:
        design: its name.
        params: learnable parameters of the network.
        latency_ms: median time of one image; None if it was not measured.
        test: test accuracy by seed [%].
    """

    design: str
    params: int
    latency_ms: float | None = None
    test: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        within("params", self.params, 1, MOST_PARAMS)
        within("latency_ms", self.latency_ms or 0, 0, MOST_SECONDS)
        for seed, accuracy in self.test.items():
            within(f"test[{seed}]", accuracy, 0, 100)


@dataclass(frozen=True, kw_only=True)
class SavedScore:
    """The score of a design by the shared network.

    Attributes:
        accuracy: on the held-out images [%].
        loss: mean loss on the held-out images [nats].
        params: learnable parameters of the network with the design.
    """

    accuracy: float
    loss: float
    params: int

    def __post_init__(self) -> None:
        within("accuracy", self.accuracy, 0, 100)
        within("loss", self.loss, 0, MOST_LOSS)
        within("params", self.params, 1, MOST_PARAMS)


@dataclass(frozen=True, kw_only=True)
class SavedShared:
    """The scores by the shared network, and their cost.

    Attributes:
        scores: scores by name of the design.
        train_seconds: time to train the network.
        score_seconds: time to score all designs.
    """

    scores: Mapping[str, SavedScore]
    train_seconds: float
    score_seconds: float

    def __post_init__(self) -> None:
        within("train_seconds", self.train_seconds, 0, MOST_SECONDS)
        within("score_seconds", self.score_seconds, 0, MOST_SECONDS)


@dataclass(frozen=True, kw_only=True)
class SavedSearch:
    """The values of a search that its results do not hold.

    Attributes:
        space: name of the space.
        strategy: name of the strategy.
        trials: designs that were trained.
        pruned: designs of which a training was stopped early.
        refused: parameters of the designs that were too large, by name.
        shared: scores of the shared network, if there was one.
    """

    space: str
    strategy: str
    trials: tuple[SavedDesign, ...]
    pruned: tuple[SavedDesign, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)
    shared: SavedShared | None = None

    def __post_init__(self) -> None:
        for design, params in self.refused.items():
            within(f"refused[{design!r}]", params, 1, MOST_PARAMS)

    def listed(self, design: str) -> SavedDesign:
        """Return the record of a design.

        Raises:
            UsageError: if there is none.
        """
        for one in (*self.trials, *self.pruned):
            if one.design == design:
                return one
        if design in self.refused:
            return SavedDesign(design=design, params=self.refused[design])
        raise UsageError(
            f"search.json does not list {design}, which {self.strategy} proposes in {self.space}; leave --report-only "
            "out to train it."
        )


def read_saved_search(folder: Path) -> SavedSearch:
    """Read `search.json` in the folder of a report.

    Raises:
        CheckpointError: if it is damaged.
        UsageError: if there is none.
    """
    path = folder / "search.json"
    try:
        return settings.record(SavedSearch, _needed(parse_json(read_text(path))), place=str(path))
    except FileNotFoundError:
        raise UsageError(
            f"{path} does not exist, so the report cannot be written again; leave --report-only out."
        ) from None
    except SpecError as error:
        raise CheckpointError(str(error)) from None
    except (OSError, DocumentError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}.") from None


def _needed(values: Any) -> Any:
    """Return the values without the fields that are not needed here."""
    said = _fields_of(SavedSearch, values)
    if isinstance(said, dict):
        for name in ("trials", "pruned"):
            if isinstance(said.get(name), list):
                said[name] = [_fields_of(SavedDesign, one) for one in said[name]]
        said["shared"] = shared = _fields_of(SavedShared, said.get("shared"))
        if isinstance(shared, dict) and isinstance(shared.get("scores"), dict):
            shared["scores"] = {name: _fields_of(SavedScore, one) for name, one in shared["scores"].items()}
    return said


def _fields_of(kind: type[Any], values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {entry.name: values[entry.name] for entry in fields(kind) if entry.name in values}
