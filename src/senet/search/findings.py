"""Everything that a report of a search shows: its outcome, final tests, confirmation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from senet.experiments.comparable import refuse_other_images
from senet.experiments.early_stopping import Pruned
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.study import Study
from senet.search.final_test import Selection
from senet.search.outcome import SearchOutcome, Trial
from senet.search.strategy import Design
from senet.search.supernet import SharedScores

__all__ = ["Findings"]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A search with its final tests and its confirmation.

    Attributes:
        outcome: the outcome of the search itself.
        tests: test accuracy by design and seed [%]; measured after the choice.
        selections: the designs that two criteria would select.
        shared: scores of the shared network; None for other strategies.
        pool: trials of designs of this space, including those of earlier searches in the same folder of runs.
        study: the comparison of the choice with its references; None if it was not requested.
        results: results of that study.
    """

    outcome: SearchOutcome
    tests: Mapping[Design, Mapping[int, float]] = field(default_factory=dict)
    selections: Sequence[Selection] = ()
    shared: SharedScores | None = None
    pool: Mapping[Design, Trial] = field(default_factory=dict)
    study: Study | None = None
    results: Mapping[Run, Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_other_images(self._all())

    def _all(self) -> Iterator[Result | Pruned]:
        for trial in (*self.outcome.trials.values(), *self.pool.values()):
            yield from trial.results.values()
        for stopped in self.outcome.pruned:
            yield stopped.pruned
            yield from stopped.results.values()
        yield from self.results.values()
