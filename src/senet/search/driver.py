"""Run a search: train the designs that a strategy proposes, within the budget, and send it their scores."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from senet.experiments.early_stopping import Pruned
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.search.outcome import Phase, PrunedTrial, SearchOutcome, Trial, score_of
from senet.search.space import Space
from senet.search.strategy import Batch, Design, Score, Strategy, merit

__all__ = ["Evaluator", "search"]

Evaluator = Callable[[Sequence[Run]], Iterable[Result | Pruned]]
"""Trains runs or reads their results, in any order."""


def search(
    space: Space,
    strategy: Strategy,
    evaluate: Evaluator,
    *,
    name: str,
    count: Callable[[Design], int],
    latency: Callable[[Design], float] = lambda design: math.nan,
    chunk: int = 1,
) -> SearchOutcome:
    """Run a strategy until it ends or the budget is spent.

    A search has no state besides the results that `evaluate` finds: strategies are deterministic, so a restarted
    search proposes the same designs and trains only missing ones.

    Args:
        space: the search space.
        strategy: a new generator.
        evaluate: trains runs.
        name: name of the strategy.
        count: returns the parameters of the network with a design.
        latency: returns the time of one image with a design [ms]; called only if it is an objective.
        chunk: number of designs passed to `evaluate` at once if the budget has minutes, which are checked in between.
    """
    driver = _Driver(space, evaluate, count, latency, chunk)
    chosen: Design | None = None
    try:
        batch = next(strategy)
        while not driver.ended:
            scores = driver.score(batch)
            if not driver.ended:
                batch = strategy.send(scores)
    except StopIteration as stop:
        chosen = stop.value
    strategy.close()
    if chosen is None:
        chosen = driver.best([design for design in driver.trials if design])
    return SearchOutcome(
        space=space,
        strategy=name,
        trials=driver.trials,
        phases=tuple(driver.phases),
        chosen=chosen,
        ended=driver.ended,
        seconds=driver.seconds,
        pruned=tuple(driver.pruned.values()),
        refused=driver.refused,
    )


class _Driver:
    """The trials of a search so far, and its budget."""

    def __init__(
        self,
        space: Space,
        evaluate: Evaluator,
        count: Callable[[Design], int],
        latency: Callable[[Design], float],
        chunk: int,
    ) -> None:
        self.space, self.evaluate, self.count, self.latency, self.chunk = space, evaluate, count, latency, chunk
        self.merit = merit(space.objectives)
        self.trials: dict[Design, Trial] = {}
        self.phases: list[Phase] = []
        self.pruned: dict[Design, PrunedTrial] = {}
        self.refused: dict[Design, int] = {}
        self.seconds = 0.0
        self.ended = ""

    def score(self, batch: Batch) -> Mapping[Design, Score]:
        """Train the new designs of a batch and return the scores of all its designs that have one."""
        known = self.trials.keys() | self.pruned.keys()
        new = [design for design in dict.fromkeys(batch.designs) if design not in known and self._fits(design)]
        before, stopped = self._begun, len(self.pruned)
        while new and self._may_go_on():
            group = new[: self._room(len(new))]
            new = new[len(group) :]
            for design, results in self._trained(group, phase=batch.phase).items():
                latency = self.latency(design) if "latency_ms" in self.space.objectives else math.nan
                score = score_of(results, latency)
                self.trials[design] = Trial(design=design, phase=batch.phase, results=results, score=score)
        finished = [design for design in batch.designs if design in self.trials]
        self.phases.append(
            Phase(
                name=batch.phase,
                designs=batch.designs,
                new=self._begun - before,
                pruned=len(self.pruned) - stopped,
                best=self.best(finished),
            )
        )
        return {design: self.trials[design].score for design in finished}

    def best(self, designs: Sequence[Design]) -> Design | None:
        """Return the best of the designs, all of them trained; None if there are none."""
        return max(designs, key=lambda design: self.merit(self.trials[design].score), default=None)

    @property
    def _begun(self) -> int:
        """Number of designs that were trained, to the end or not."""
        return len(self.trials) + len(self.pruned)

    def _room(self, waiting: int) -> int:
        """Return the number of designs that may be trained before the next check of the budget."""
        budget = self.space.budget
        many = min(self.chunk, waiting) if budget.minutes else waiting
        return min(many, budget.trials - self._begun) if budget.trials else many

    def _may_go_on(self) -> bool:
        budget = self.space.budget
        if budget.trials and self._begun >= budget.trials:
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

    def _trained(self, designs: Sequence[Design], *, phase: str) -> dict[Design, dict[int, Result]]:
        """Train designs with all seeds and return those that were not stopped early.

        With early stopping the seeds are trained one after the other, since a stopped design needs no further one.
        """
        seeds = self.space.seeds
        found: dict[Design, dict[int, Result]] = {design: {} for design in designs}
        for together in [(seed,) for seed in seeds] if self.space.stop_early else [seeds]:
            cells = {self.space.run(d, seed): (d, seed) for seed in together for d in found}
            stopped: dict[Design, Pruned] = {}
            outcomes = list(self.evaluate(list(cells)))
            self.seconds += math.fsum(outcome.seconds for outcome in outcomes)  # exact, so independent of their order
            for outcome in outcomes:
                design, seed = cells[outcome.run]
                if isinstance(outcome, Pruned):
                    stopped[design] = outcome
                else:
                    found[design][seed] = outcome
            for design in [design for design in found if design in stopped]:
                self.pruned[design] = PrunedTrial(
                    design=design,
                    phase=phase,
                    params=self.count(design),
                    pruned=stopped[design],
                    results=found.pop(design),
                )
        return found
