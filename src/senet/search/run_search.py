"""Run a search: train what its strategy proposes, test it, and confirm the choice with fresh seeds."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from senet.errors import SenetError, SpecError, unknown
from senet.execution.executors import load_cached
from senet.execution.store import Store
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.experiments.study import Study
from senet.networks.count import count
from senet.networks.outline import outline_of
from senet.search.confirmation import confirmation
from senet.search.driver import search
from senet.search.final_test import selections, test_accuracies
from senet.search.findings import Findings
from senet.search.latency import latency_ms
from senet.search.network_blocks import additive_count, with_blocks
from senet.search.outcome import SearchOutcome, Trial, score_of
from senet.search.space import Space
from senet.search.strategies.exhaustive import grid, random_search
from senet.search.strategies.greedy import greedy
from senet.search.strategies.samplers import nsga2, tpe
from senet.search.strategies.shared import shared
from senet.search.strategy import Design, Score, Strategy, merit
from senet.search.supernet import SharedScores, score_space, train_shared
from senet.search.trial_runner import OpenDisplay, TrialRunner

__all__ = ["STRATEGIES", "check_strategy", "concluded", "ready", "run_search"]

STRATEGIES: Mapping[str, Callable[[Space], Strategy]] = {
    "greedy": lambda space: greedy(space, merit=merit(space.objectives)),
    "grid": grid,
    "random": random_search,
    "tpe": tpe,
    "nsga2": nsga2,
}
"""Strategies that need only the space; `shared` also needs its network."""

DEFAULT_TRIALS = 20  # budget of strategies that may not end by themselves


def run_search(
    space: Space,
    strategy: str,
    store: Store,
    setup: Setup,
    *,
    retry_failed: bool = False,
    lists: Sequence[Path] = (),
    announce: Callable[[Run, int], None] | None = None,
    open_display: OpenDisplay,
) -> Findings:
    """Search, test what was trained, and confirm the choice.

    Args:
        space: the search space.
        strategy: a name of `STRATEGIES`, or `shared`.
        store: reads and keeps the results.
        setup: device, processes, paths.
        retry_failed: train runs again that failed before.
        lists: files with further results for the confirmation: equal runs need no second training.
        announce: receives, before the first training, one of the runs and the maximum number of them.
        open_display: opens the display of progress.

    Raises:
        SpecError: if the strategy is not known, or a design does not fit the network.
    """
    space = ready(space, strategy)
    _check(space)
    spec = space.base.data
    data = load_cached(spec, setup)
    shape, most = data.shape, _at_most(space, strategy)
    if announce is not None:
        announce(space.run((), space.seeds[0]), most)

    @cache
    def built(design: Design) -> int:
        channels, height, _ = shape
        return count(
            space.base.model,
            design,
            size=height,
            in_chans=channels,
            num_classes=data.num_classes,
            at=space.base.at,
        ).params

    params = additive_count(space, built) if space.choices.per == "block" else built

    def latency(design: Design) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return latency_ms(space.run(design, 0), shape=shape, device=setup.device)

    scored: SharedScores | None = None
    if strategy == "shared":
        scored = _scored(space, store, setup, open_display=open_display, params=params)
        walk = shared(space, _affordable(scored.scores, space), merit=merit(space.objectives))
    else:
        walk = STRATEGIES[strategy](space)
    study, results = None, {}
    with open_display(most) as display:
        by = "loss" if space.objectives[0] == "loss" else "accuracy"
        trial_runner = TrialRunner(
            store=store, setup=setup, display=display, rule=space.stop_early, by=by, retry_failed=retry_failed
        )
        outcome = search(
            space,
            walk,
            trial_runner,
            name=strategy,
            count=params,
            latency=latency,
            chunk=max(1, setup.jobs // len(space.seeds)),
        )
    tests = test_accuracies(outcome, store, setup)
    if space.confirm_seeds and outcome.chosen is not None:
        study = confirmation(space, [outcome.chosen])
        with open_display(len(study.runs())) as display:
            known = Store(store.root, lists=lists)
            trial_runner = TrialRunner(store=known, setup=setup, display=display, retry_failed=retry_failed)
            results = {found.run: found for found in trial_runner(study.runs()) if isinstance(found, Result)}
    return concluded(outcome, store, tests=tests, scored=scored, study=study, results=results)


def concluded(
    outcome: SearchOutcome,
    store: Store,
    *,
    tests: Mapping[Design, Mapping[int, float]],
    scored: SharedScores | None,
    study: Study | None,
    results: Mapping[Run, Result],
) -> Findings:
    """Return the findings of a search that has ended, with what its test accuracies would have claimed."""
    return Findings(
        outcome=outcome,
        tests=tests,
        selections=selections(outcome, tests),
        shared=scored,
        pool=_pool(outcome, store) if scored else {},
        study=study,
        results=results,
    )


def check_strategy(strategy: str) -> None:
    """Check the name of a strategy.

    Raises:
        SpecError: if it is not known.
    """
    if strategy not in (*STRATEGIES, "shared"):
        raise unknown("--strategy", strategy, [*STRATEGIES, "shared"])


def ready(space: Space, strategy: str) -> Space:
    """Complete a space: the numbers of blocks of the network, a budget for strategies that need one.

    Raises:
        SpecError: if the strategy is not known, or the space has other stages than the network.
    """
    check_strategy(strategy)
    if strategy in ("tpe", "nsga2", "random") and not (space.budget.trials or space.budget.minutes):
        space = replace(space, budget=replace(space.budget, trials=DEFAULT_TRIALS))
    return with_blocks(space)


def _check(space: Space) -> None:
    """Build one network for each variant and slot on the meta device, to detect errors before the first training."""
    for variant in space.choices.variant:
        for slot in space.choices.slot:
            ratios = [place.ratios[0] for place in space.choices.dimensions]
            try:
                outline_of(replace(space.base, se=space.design(ratios, variant=variant, slot=slot)))
            except SenetError as error:
                error.add_note(f"in the space {space.name}")
                raise


def _at_most(space: Space, strategy: str) -> int:
    """Return the maximum number of trainings of a search, without its confirmation."""
    choices = space.choices
    # a constant that leads is among the candidates of a stage, and known
    at_places = sum(len(p.ratios) - (set(choices.constant) <= set(p.ratios)) for p in choices.dimensions)
    greedy_most = len(choices.constant) + at_places + len(choices.variant) - 1 + len(choices.slot) - 1
    by_strategy = {"greedy": greedy_most, "shared": min(space.size, space.shared.retrain + space.shared.probes)}
    designs = space.plain + by_strategy.get(strategy, space.size)
    return len(space.seeds) * min(designs, space.budget.trials or designs)


def _scored(
    space: Space, store: Store, setup: Setup, *, open_display: OpenDisplay, params: Callable[[Design], int]
) -> SharedScores:
    data = load_cached(space.base.data, setup)
    with open_display(1) as display:
        network, seconds = train_shared(space, data, store.root, device=setup.device, watch=display.watch)
    return score_space(space, network, data, count=params, train_seconds=seconds)


def _affordable(scores: Mapping[Design, Score], space: Space) -> dict[Design, Score]:
    most = space.budget.params
    fitting = {design: score for design, score in scores.items() if not most or score.params <= most}
    if not fitting:
        raise SpecError(f"budget.params = {most:,} is too small for every design of the space; raise it.")
    return fitting


def _pool(outcome: SearchOutcome, store: Store) -> dict[Design, Trial]:
    """Return the trials of a search and those of other searches in the same folder of runs, with all seeds."""
    space = outcome.space
    known = {design: trial for design, trial in outcome.trials.items() if design}
    others: dict[Design, dict[int, Result]] = {}
    for result in store.all():
        run = result.run
        if run.seed in space.seeds and space.holds(run.se) and run == space.run(run.se, run.seed):
            others.setdefault(run.se, {})[run.seed] = result
    for design, results in others.items():
        if design in known or len(results) < len(space.seeds):
            continue
        known[design] = Trial(design=design, phase="earlier", results=results, score=score_of(results))
    return known
