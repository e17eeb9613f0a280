"""The driver: what is trained, when the budget ends, what is chosen."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from senet.data import DataSpec
from senet.experiments.recipe import Recipe
from senet.experiments.result import Epoch, Result
from senet.experiments.run import Run
from senet.search.driver import search
from senet.search.space import Budget, Choices, Shared, Space
from senet.search.strategies.exhaustive import grid, random_search
from senet.search.strategies.greedy import greedy
from senet.search.strategies.shared import shared
from senet.search.strategy import Batch, Design, Score, merit
from senet.spec import SESpec, design_name

SPACE = Space(
    name="s",
    base=Run(model="resnet8", se=(SESpec(),), data=DataSpec(val_size=100), recipe=Recipe(epochs=8)),
    choices=Choices(reduction=((2, 4), (2, 4)), constant=(2, 4)),
    seeds=(0, 1),
)
MERIT = merit(("accuracy", "params"))


def correct(design: Design) -> int:
    """Return how many of 1,000 images a design gets right: more for small ratios in the second stage."""
    return 500 if not design else 700 - 10 * design[0].ratio(1) - 20 * design[0].ratio(2)


def params(design: Design) -> int:
    return 1000 if not design else 1000 + 64 // design[0].ratio(1) + 64 // design[0].ratio(2)


class Laboratory:
    """An evaluator that remembers what it was asked."""

    def __init__(self, correct: Callable[[Design], int] = correct) -> None:
        self.correct = correct
        self.asked: list[Run] = []

    def __call__(self, runs: Sequence[Run]) -> list[Result]:
        self.asked += runs
        return [self.result(run) for run in reversed(runs)]  # the order of results is free

    def result(self, run: Run) -> Result:
        right = self.correct(run.se) + run.seed
        epochs = run.recipe.epochs
        line = Epoch(epoch=1, lr=0.1, train_loss=1, test_loss=1, correct=right, correct5=1000, seconds=30 / epochs)
        confusion = ((right, 1000 - right), (0, 0))
        return Result(
            run=run,
            curve=tuple(replace(line, epoch=number) for number in range(1, epochs + 1)),
            classes=("a", "b"),
            confusion=confusion,
            params=params(run.se),
            macs=1,
            train_images=1,
            train_seconds=1,
            data="d",
        )


def names(designs: Sequence[Design]) -> list[str]:
    return [design_name(design).removeprefix("standard r=") for design in designs]


def test_every_candidate_is_trained_once_with_every_seed() -> None:
    lab = Laboratory()
    outcome = search(SPACE, greedy(SPACE, merit=MERIT), lab, name="greedy", count=params)
    assert names(list(outcome.trials)) == ["plain", "2-2", "4-4", "4-2", "2-4"]
    assert len(lab.asked) == len(set(lab.asked)) == 10
    assert {run.data.val_size for run in lab.asked} == {100}
    assert [phase.new for phase in outcome.phases] == [1, 2, 1, 1]
    assert outcome.chosen == SPACE.design((2, 2))
    trial = outcome.trials[SPACE.design((2, 2))]
    assert (trial.score.accuracy, trial.score.loss, trial.score.params) == (64.05, 1.0, 1064)
    assert trial.spread == pytest.approx(0.1 / 2**0.5)
    assert outcome.seconds == 10 * 30
    assert not outcome.ended


def test_one_seed_has_the_spread_of_counting_images() -> None:
    space = replace(SPACE, seeds=(0,))
    outcome = search(space, grid(space), Laboratory(), name="grid", count=params)
    assert outcome.trials[()].spread == pytest.approx(100 * (0.5 * 0.5 / 1000) ** 0.5)


@pytest.mark.parametrize("chunk", [1, 2, 9])
def test_a_budget_of_trials_ends_the_search_with_the_best_so_far(chunk: int) -> None:
    space = replace(SPACE, budget=Budget(trials=3))
    outcome = search(space, grid(space), Laboratory(), name="grid", count=params, chunk=chunk)
    assert names(list(outcome.trials)) == ["plain", "2-2", "2-4"]
    assert outcome.ended == "the budget of 3 trials is spent"
    assert outcome.chosen == space.design((2, 2))


def test_a_budget_of_minutes_counts_training_not_waiting() -> None:
    space = replace(SPACE, budget=Budget(minutes=2), plain=False)
    outcome = search(space, grid(space), Laboratory(), name="grid", count=params)
    assert len(outcome.trials) == 2  # two seeds of half a minute each
    assert outcome.ended == "the budget of 2 minutes of training is spent"


def test_networks_beyond_the_budget_of_parameters_are_not_trained() -> None:
    space = replace(SPACE, budget=Budget(params=1048))
    lab = Laboratory()
    outcome = search(space, greedy(space, merit=MERIT), lab, name="greedy", count=params)
    assert outcome.refused == {space.design((2, 2)): 1064}
    assert space.design((2, 2)) not in {run.se for run in lab.asked}
    assert outcome.chosen == space.design((2, 4))
    assert not outcome.ended


def test_the_plain_network_is_a_reference_and_never_the_choice() -> None:
    lab = Laboratory(lambda design: 900 if not design else 500)
    outcome = search(SPACE, grid(SPACE), lab, name="grid", count=params)
    assert outcome.chosen is not None
    assert names([outcome.chosen]) == ["4-4"]  # equal accuracies: the fewest parameters


def test_a_random_order_depends_on_the_seed_and_repeats_nothing() -> None:
    def order(seed: int) -> tuple[Design, ...]:
        walk = random_search(replace(SPACE, plain=False), seed=seed)
        return next(walk).designs

    assert order(0) == order(0)
    assert {order(seed)[0] for seed in range(20)} == set(SPACE.designs())
    assert sorted(map(design_name, order(3))) == sorted(map(design_name, SPACE.designs()))


def test_shared_trains_the_best_and_probes_from_end_to_end() -> None:
    space = replace(SPACE, shared=Shared(retrain=1, probes=2), plain=False)
    scores = {design: Score(accuracy=correct(design) / 10) for design in space.designs()}
    lab = Laboratory(lambda design: 900 if design == space.design((4, 4)) else 500)
    outcome = search(space, shared(space, scores, merit=merit(("accuracy",))), lab, name="shared", count=params)
    assert [(phase.name, names(phase.designs)) for phase in outcome.phases] == [
        ("retrain", ["2-2"]),
        ("probe", ["4-2", "4-4"]),
    ]
    assert outcome.chosen == space.design((4, 4))  # real trainings decide, shared scores propose


@pytest.mark.parametrize("strategy", ["tpe", "nsga2"])
def test_optunas_strategies_find_the_best_of_a_small_space_and_end(strategy: str) -> None:
    pytest.importorskip("optuna")
    from senet.search.strategies import samplers as sampled

    def walked() -> tuple[list[Design], Design | None]:
        outcome = search(SPACE, getattr(sampled, strategy)(SPACE), Laboratory(), name=strategy, count=params)
        return list(outcome.trials), outcome.chosen

    trials, chosen = walked()
    assert chosen == SPACE.design((2, 2))
    assert set(trials) <= {(), *SPACE.designs()}
    assert walked() == (trials, chosen)  # a second start walks the same way: that is how a search is resumed


def test_refused_proposals_do_not_keep_optuna_going_for_ever() -> None:
    pytest.importorskip("optuna")
    from senet.search.strategies.samplers import tpe

    space = replace(SPACE, budget=Budget(params=1040))
    outcome = search(space, tpe(space), Laboratory(), name="tpe", count=params)
    assert set(outcome.trials) <= {(), space.design((4, 4))}


def test_latency_is_measured_where_it_is_an_objective() -> None:
    space = replace(SPACE, objectives=("accuracy", "latency_ms"))
    outcome = search(
        space,
        grid(space),
        Laboratory(lambda d: 500),
        name="grid",
        count=params,
        latency=lambda d: 10.0 - len(design_name(d)),
    )
    assert outcome.scores[()].latency_ms == 5.0
    assert outcome.chosen is not None
    assert isinstance(next(grid(space)), Batch)
