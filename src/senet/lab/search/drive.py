"""Carry a search out: train what a strategy asks for, within the budget, and tell it the scores."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.search.space import Space
from senet.lab.search.strategy import Batch, Design, Score, Strategy, merit

__all__ = ["Dropped", "Evaluator", "Outcome", "Phase", "Trial", "search"]

Evaluator = Callable[[Sequence[Run]], Iterable[Result]]
"""Trains runs, or reads their results; the order of results is free."""


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
        best: the best of them; None if there is no score.
    """

    name: str
    designs: tuple[Design, ...]
    new: int
    best: Design | None


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A design that successive halving gave up.

    Attributes:
        design: its blocks.
        epochs: of its training.
        accuracy: mean over seeds [%].
    """

    design: Design
    epochs: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a search found.

    Attributes:
        space: where it looked.
        strategy: how.
        trials: what was trained to the end, in that order.
        phases: the walk.
        chosen: the design it takes: the strategy's own choice, or the best one with blocks; None if there is none.
        ended: why it ended; empty if the strategy had no more to ask.
        seconds: of training, as the results say.
        dropped: what was given up early.
        refused: designs with more parameters than the budget allows, and how many.
    """

    space: Space
    strategy: str
    trials: Mapping[Design, Trial]
    phases: tuple[Phase, ...]
    chosen: Design | None
    ended: str = ""
    seconds: float = 0.0
    dropped: tuple[Dropped, ...] = ()
    refused: Mapping[Design, int] = field(default_factory=dict)

    @property
    def scores(self) -> dict[Design, Score]:
        """Scores by design."""
        return {design: trial.score for design, trial in self.trials.items()}

    @property
    def searched(self) -> dict[Design, Score]:
        """Scores of the designs with blocks: those of the space, without the plain network for reference."""
        return {design: score for design, score in self.scores.items() if design}


def search(
    space: Space,
    strategy: Strategy,
    evaluate: Evaluator,
    *,
    name: str,
    count: Callable[[Design], int],
    latency: Callable[[Design], float] | None = None,
    chunk: int = 1,
) -> Outcome:
    """Run a strategy to its end or to the end of the budget.

    Nothing is kept between two starts but the results that `evaluate` finds again: strategies are deterministic, so
    the second start walks the same way and trains only what is missing.

    Args:
        space: what is searched.
        strategy: fresh.
        evaluate: trains.
        name: of the strategy.
        count: parameters of the network with a design.
        latency: time of one image with a design [ms]; None where no objective needs it.
        chunk: designs handed to `evaluate` at once where minutes are counted; the budget is looked at in between.
    """
    driver = _Driver(space, evaluate, count, latency, chunk)
    chosen: Design | None = None
    try:
        batch = next(strategy)
        while not driver.ended:
            told = driver.score(batch)
            if not driver.ended:
                batch = strategy.send(told)
    except StopIteration as stop:
        chosen = stop.value
    strategy.close()
    if chosen is None:
        chosen = driver.best([design for design in driver.trials if design])
    return Outcome(
        space=space,
        strategy=name,
        trials=driver.trials,
        phases=tuple(driver.phases),
        chosen=chosen,
        ended=driver.ended,
        seconds=driver.seconds,
        dropped=tuple(driver.dropped),
        refused=driver.refused,
    )


class _Driver:
    """What is known so far, and what is left of the budget."""

    def __init__(
        self,
        space: Space,
        evaluate: Evaluator,
        count: Callable[[Design], int],
        latency: Callable[[Design], float] | None,
        chunk: int,
    ) -> None:
        self.space, self.evaluate, self.count, self.latency, self.chunk = space, evaluate, count, latency, chunk
        self.merit = merit(space.objectives)
        self.trials: dict[Design, Trial] = {}
        self.phases: list[Phase] = []
        self.dropped: list[Dropped] = []
        self.refused: dict[Design, int] = {}
        self.seconds = 0.0
        self.ended = ""

    def score(self, batch: Batch) -> Mapping[Design, Score]:
        """Train what is new in a batch and give all scores of it."""
        new = [design for design in dict.fromkeys(batch.designs) if design not in self.trials and self._fits(design)]
        before = len(self.trials)
        waiting = self._halved(new)
        while waiting and self._may_go_on():
            group = waiting[: self._room(len(waiting))]
            waiting = waiting[len(group) :]
            for design, results in self._trained(group).items():
                self.trials[design] = Trial(
                    design=design, phase=batch.phase, results=results, score=self._score(design, results)
                )
        known = [design for design in batch.designs if design in self.trials]
        self.phases.append(
            Phase(name=batch.phase, designs=batch.designs, new=len(self.trials) - before, best=self.best(known))
        )
        return {design: self.trials[design].score for design in known}

    def best(self, designs: Sequence[Design]) -> Design | None:
        """Give the best of designs that were trained."""
        return max(designs, key=lambda design: self.merit(self.trials[design].score), default=None)

    def _room(self, waiting: int) -> int:
        """Say how many designs may be trained before the next look at the budget."""
        budget = self.space.budget
        many = min(self.chunk, waiting) if budget.minutes else waiting
        return min(many, budget.trials - len(self.trials)) if budget.trials else many

    def _may_go_on(self) -> bool:
        budget = self.space.budget
        if budget.trials and len(self.trials) >= budget.trials:
            self.ended = f"the budget of {budget.trials} trials is spent"
        elif budget.minutes and self.seconds >= 60 * budget.minutes:
            self.ended = f"the budget of {budget.minutes:g} minutes of training is spent"
        return not self.ended

    def _fits(self, design: Design) -> bool:
        most = self.space.budget.params
        if most and (params := self.count(design)) > most:
            self.refused[design] = params
            return False
        return True

    def _trained(self, designs: Sequence[Design], *, epochs: int = 0) -> dict[Design, dict[int, Result]]:
        """Train designs with all seeds."""
        cells = {self.space.run(d, seed, epochs=epochs): (d, seed) for seed in self.space.seeds for d in designs}
        found: dict[Design, dict[int, Result]] = {design: {} for design in designs}
        for result in self.evaluate(list(cells)):
            design, seed = cells[result.run]
            found[design][seed] = result
            self.seconds += result.seconds
        return found

    def _score(self, design: Design, results: Mapping[int, Result]) -> Score:
        score = Score(
            accuracy=fmean(result.accuracy for result in results.values()),
            loss=fmean(result.last.test_loss for result in results.values()),
            params=next(iter(results.values())).params,
        )
        if self.latency is None:
            return score
        return Score(accuracy=score.accuracy, loss=score.loss, params=score.params, latency_ms=self.latency(design))

    def _halved(self, designs: list[Design]) -> list[Design]:
        """Drop the worse half of a batch at every rung; nothing is dropped where `halving` is off."""
        for rung in range(self.space.halving, 0, -1):
            if len(designs) < 3 or not self._may_go_on():
                break
            epochs = max(1, self.space.base.recipe.epochs // 2**rung)
            short = self._trained(designs, epochs=epochs)
            level = {d: fmean(result.accuracy for result in found.values()) for d, found in short.items()}
            ranked = sorted(designs, key=lambda design: level[design], reverse=True)
            kept = ranked[: (len(ranked) + 1) // 2]
            self.dropped += [Dropped(design=d, epochs=epochs, accuracy=level[d]) for d in designs if d not in kept]
            designs = [design for design in designs if design in kept]
        return designs
