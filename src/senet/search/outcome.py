"""What a search found: its trials, its walk, what it gave up, what it takes. No torch here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import stdev

from senet.experiments.early_stopping import Pruned
from senet.experiments.result import Result
from senet.search.space import Space
from senet.search.strategy import Design, Score

__all__ = ["Phase", "PrunedTrial", "SearchOutcome", "Trial"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A design that was trained.

    Attributes:
        design: its blocks.
        phase: the part of the search that asked for it first.
        results: by seed, on the held-out images.
        score: their means.
    """

    design: Design
    phase: str
    results: Mapping[int, Result]
    score: Score

    @property
    def spread(self) -> float:
        """Uncertainty of the accuracy: standard deviation over seeds, or with one seed that of counting the images [%].

        The second is the smaller part: it says nothing of how another seed would have trained.
        """
        values = [result.accuracy for result in self.results.values()]
        if len(values) > 1:
            return stdev(values)
        share = values[0] / 100
        return 100 * math.sqrt(share * (1 - share) / next(iter(self.results.values())).total)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A batch of a strategy and what came of it.

    Attributes:
        name: what the batch was for.
        designs: what was asked for, in order.
        new: how many of them had to be trained.
        pruned: how many of these were stopped early.
        best: the best of them; None if there is no score.
    """

    name: str
    designs: tuple[Design, ...]
    new: int
    pruned: int = 0
    best: Design | None = None


@dataclass(frozen=True, kw_only=True)
class PrunedTrial:
    """A design of which a training was stopped early: it has no score, and is never ranked.

    Attributes:
        design: its blocks.
        phase: the part of the search that asked for it.
        params: learnable parameters of the network.
        pruned: the training that was stopped; those of later seeds were not begun.
        results: by seed, of trainings before it that were not.
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
        phases: the walk.
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
