"""The command `senet search`, from a space file to a report."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial

from senet.console import Board, console, show_rows
from senet.data.loading import load
from senet.errors import SenetError, SpecError, unknown
from senet.lab.execute import Setup, execute
from senet.lab.listing import count
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.search import table
from senet.lab.search.blocks import place_by_place, with_blocks
from senet.lab.search.claims import claims, tested
from senet.lab.search.confirm import confirmation
from senet.lab.search.drive import Outcome, Trial, search
from senet.lab.search.greedy import greedy
from senet.lab.search.grid import grid, scatter
from senet.lab.search.latency import latency_ms
from senet.lab.search.report import Findings
from senet.lab.search.sampled import nsga2, tpe
from senet.lab.search.shared import shared
from senet.lab.search.space import Budget, Space
from senet.lab.search.strategy import Design, Score, Strategy, merit, name
from senet.lab.search.supernet import SharedScores, score_space, train_shared
from senet.lab.store import Store
from senet.lab.study import Study
from senet.models import create_model

__all__ = ["STRATEGIES", "run_search", "show", "with_budget"]

STRATEGIES: Mapping[str, Callable[[Space], Strategy]] = {
    "greedy": lambda space: greedy(space, merit=merit(space.objectives)),
    "grid": grid,
    "random": scatter,
    "tpe": tpe,
    "nsga2": nsga2,
}
"""Strategies that need nothing but the space; `shared` needs its network too."""

DEFAULT_TRIALS = 20  # of the strategies that would go on for ever, or nearly so


def with_budget(space: Space, *, trials: int | None, minutes: float | None, params: int | None) -> Space:
    """Put limits of the command line in the place of those of the file."""
    old = space.budget
    budget = Budget(
        trials=old.trials if trials is None else trials,
        minutes=old.minutes if minutes is None else minutes,
        params=old.params if params is None else params,
    )
    return replace(space, budget=budget)


def run_search(space: Space, strategy: str, store: Store, setup: Setup, *, quiet: bool = False) -> Findings:
    """Search, test what was trained, and confirm the choice.

    Args:
        space: where.
        strategy: a name of `STRATEGIES`, or `shared`.
        store: where results are and go.
        setup: device, processes, paths.
        quiet: no progress.

    Raises:
        SpecError: if the strategy is not known, or a design does not fit the network.
    """
    if strategy not in (*STRATEGIES, "shared"):
        raise unknown("--strategy", strategy, [*STRATEGIES, "shared"])
    if strategy in ("tpe", "nsga2", "random") and not (space.budget.trials or space.budget.minutes):
        space = replace(space, budget=replace(space.budget, trials=DEFAULT_TRIALS))
    space = with_blocks(space)
    _check(space)
    spec = space.base.data
    data = load(spec, root=setup.data_dir, on_bad_image=setup.on_bad_image, download=setup.download)
    shape = data.shape

    @cache
    def built(design: Design) -> int:
        channels, height, _ = shape
        return count(space.base.model, design, size=height, in_chans=channels, num_classes=data.num_classes).params

    params = place_by_place(space, built) if space.choices.per == "block" else built

    def latency(design: Design) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return latency_ms(space.run(design, 0), shape=shape, device=setup.device)

    scored: SharedScores | None = None
    if strategy == "shared":
        scored = _scored(space, store, setup, quiet=quiet, params=params)
        walk = shared(space, _affordable(scored.scores, space), merit=merit(space.objectives))
    else:
        walk = STRATEGIES[strategy](space)
    with Board(_at_most(space, strategy), quiet=quiet) as board:
        outcome = search(
            space,
            walk,
            partial(_trained, store=store, setup=setup, board=board),
            name=strategy,
            count=params,
            latency=latency if "latency_ms" in space.objectives else None,
            chunk=max(1, setup.jobs // len(space.seeds)),
        )
    tests = tested(outcome, store, setup)
    study, results = None, {}
    if space.confirm_seeds and outcome.chosen is not None:
        study = confirmation(space, [outcome.chosen])
        with Board(len(study.runs()), quiet=quiet) as board:
            results = {found.run: found for found in _trained(study.runs(), store=store, setup=setup, board=board)}
    return Findings(
        outcome=outcome,
        tests=tests,
        claims=claims(outcome, tests),
        shared=scored,
        pool=_pool(outcome, store) if scored else {},
        study=study,
        results=results,
    )


def show(found: Findings, study_table: Callable[[Study, Mapping[Run, Result]], None]) -> None:
    """Print a search: what was tried, what the test set would have said, and the confirmation.

    Args:
        found: the search.
        study_table: prints a study.
    """
    outcome = found.outcome
    show_rows(
        table.columns(outcome, found.tests),
        table.cells(outcome, found.tests),
        title=f"{outcome.space.title or outcome.space.name}: {outcome.strategy}",
        words={"asked for in"},
    )
    for note in table.notes(outcome, found.tests):
        console.print(f"- {note}", style="dim")
    for claim in found.claims:
        against = f" ({claim.gain:+.2f} against {name(claim.reference)})" if claim.reference is not None else ""
        console.print(f"- {claim.way}: {name(claim.design)}, test {claim.test:.2f} %{against}", style="dim")
    if found.shared is not None:
        real = {design: trial.score for design, trial in found.pool.items()}
        console.print(f"- shared network: {found.shared.per_minute:,.0f} designs a minute", style="dim")
        for label, value in table.agreement(found.shared.scores, real):
            console.print(f"- {label}: {value}", style="dim")
    if found.study is not None:
        print()
        study_table(found.study, found.results)


def _check(space: Space) -> None:
    """Build the networks at the corners of the space on no device: what does not fit is known before the first step."""
    import torch

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for variant in space.choices.variant:
            for slot in space.choices.slot:
                ratios = [place.ratios[0] for place in space.choices.places]
                try:
                    create_model(space.base.model, se=space.design(ratios, variant=variant, slot=slot))
                except SenetError as error:
                    error.add_note(f"in the space {space.name}")
                    raise


def _trained(runs: Sequence[Run], *, store: Store, setup: Setup, board: Board) -> Iterator[Result]:
    board.total = max(board.total, board.done + len(set(runs)))
    for result in execute(runs, store, setup, watch=board.watch):
        board.finish(result)
        yield result


def _at_most(space: Space, strategy: str) -> int:
    """Count the trainings that a search could need, for its progress; halving comes on top."""
    choices = space.choices
    at_places = sum(len(place.ratios) for place in choices.places)
    greedy_most = len(choices.constant) + at_places + len(choices.variant) + len(choices.slot)
    by_strategy = {"greedy": greedy_most, "shared": space.shared.retrain + space.shared.probes}
    designs = space.plain + by_strategy.get(strategy, space.size)
    return len(space.seeds) * min(designs, space.budget.trials or designs)


def _scored(space: Space, store: Store, setup: Setup, *, quiet: bool, params: Callable[[Design], int]) -> SharedScores:
    data = load(space.base.data, root=setup.data_dir, on_bad_image=setup.on_bad_image, download=setup.download)
    with Board(1, quiet=quiet) if not quiet else nullcontext() as board:
        watch = board.watch if board is not None else None
        network, seconds = train_shared(space, data, store.root, device=setup.device, watch=watch)
    return score_space(space, network, data, count=params, train_seconds=seconds)


def _affordable(scores: Mapping[Design, Score], space: Space) -> dict[Design, Score]:
    most = space.budget.params
    fitting = {design: score for design, score in scores.items() if not most or score.params <= most}
    if not fitting:
        raise SpecError(f"budget.params = {most:,} is less than every design of the space needs; raise it.")
    return fitting


def _pool(outcome: Outcome, store: Store) -> dict[Design, Trial]:
    """Give the trials of a search and those that others left in the same folder of runs, all with all seeds."""
    space = outcome.space
    pool = {design: trial for design, trial in outcome.trials.items() if design}
    others: dict[Design, dict[int, Result]] = {}
    for result in store.all():
        run = result.run
        if run.seed in space.seeds and space.holds(run.se) and run == space.run(run.se, run.seed):
            others.setdefault(run.se, {})[run.seed] = result
    for design, results in others.items():
        if design in pool or len(results) < len(space.seeds):
            continue
        mean = sum(r.accuracy for r in results.values()) / len(results)
        loss = sum(r.last.test_loss for r in results.values()) / len(results)
        score = Score(accuracy=mean, loss=loss, params=next(iter(results.values())).params)
        pool[design] = Trial(design=design, phase="earlier", results=results, score=score)
    return pool
