"""The outcome of a search: trials, phases, designs stopped early, the choice. No torch here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, stdev

from senet.experiments.early_stopping import Pruned
from senet.experiments.result import Result
from senet.search.space import Space
from senet.search.strategy import Design, Score

__all__ = ["Phase", "PrunedTrial", "SearchOutcome", "Trial", "score_of"]


def score_of(results: Mapping[int, Result], latency_ms: float = math.nan) -> Score:
    """Return the score of a design from its results by seed."""
    return Score(
        accuracy=fmean(result.accuracy for result in results.values()),
        loss=fmean(result.last.test_loss for result in results.values()),
        params=next(iter(results.values())).params,
        latency_ms=latency_ms,
    )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A design that was trained.

    Attributes:
        design: its blocks.
        phase: the part of the search that proposed it first.
        results: by seed, on the held-out images.
        score: means over the seeds.
    """

    design: Design
    phase: str
    results: Mapping[int, Result]
    score: Score

    @property
    def spread(self) -> float:
        """Uncertainty of the accuracy [%]: standard deviation over seeds, or with one seed that of a binomial count.

        The latter is too small: it does not include the variation between seeds.
        """
        values = [result.accuracy for result in self.results.values()]
        if len(values) > 1:
            return stdev(values)
        share = values[0] / 100
        return 100 * math.sqrt(share * (1 - share) / next(iter(self.results.values())).total)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A batch of a strategy and its result.

    Attributes:
        name: purpose of the batch.
        designs: the proposed designs, in order.
        new: number of them that had to be trained.
        pruned: number of these that were stopped early.
        best: the best of them; None if none has a score.
    """

    name: str
    designs: tuple[Design, ...]
    new: int
    pruned: int = 0
    best: Design | None = None


@dataclass(frozen=True, kw_only=True)
class PrunedTrial:
    """A design of which a training was stopped early; it has no score and is not ranked.

    Attributes:
        design: its blocks.
        phase: the part of the search that proposed it.
        params: learnable parameters of the network.
        pruned: the training that was stopped; those of later seeds were not started.
        results: by seed, of the trainings before it.
    """

    design: Design
    phase: str
    params: int
    pruned: Pruned
    results: Mapping[int, Result] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SearchOutcome:
    """What a search found.

    Attributes:
        space: where it looked.
        strategy: how.
        trials: what was trained to the end, in that order.
        phases: the batches of the strategy, in order.
        chosen: the design it takes: the strategy's own choice, or the best one with blocks; None if there is none.
        ended: why it ended; empty if the strategy had no more to ask.
        seconds: of training, as the results say.
        pruned: what was stopped early.
        refused: designs with more parameters than the budget allows, and how many.
    """

    space: Space
    strategy: str
    trials: Mapping[Design, Trial]
    phases: tuple[Phase, ...]
    chosen: Design | None
    ended: str = ""
    seconds: float = 0.0
    pruned: tuple[PrunedTrial, ...] = ()
    refused: Mapping[Design, int] = field(default_factory=dict)

    @property
    def scores(self) -> dict[Design, Score]:
        """Scores by design."""
        return {design: trial.score for design, trial in self.trials.items()}

    @property
    def searched(self) -> dict[Design, Score]:
        """Scores of the designs with blocks: those of the space, without the plain network for reference."""
        return {design: score for design, score in self.scores.items() if design}
