"""The time of a training is estimated from a step of it, and what cannot be estimated stops nothing."""

from dataclasses import replace

from senet.data.loading import load_for
from senet.experiments.data_spec import DataSpec
from senet.experiments.recipe import RECIPES
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.training.duration import expected_seconds

RECIPE = replace(RECIPES["digits"], epochs=2, batch_size=8)
RUN = Run(model="resnet8", data=DataSpec(train_size=16, test_size=8), recipe=RECIPE)


def seconds(run: Run, count: int = 1) -> float | None:
    return expected_seconds([replace(run, seed=seed) for seed in range(count)], Setup(), lambda s, at: load_for(at, s))


def test_a_run_takes_some_time_and_runs_add_up() -> None:
    once, often = seconds(RUN), seconds(RUN, 50)
    assert once is not None
    assert often is not None
    assert 0 < once < often


def test_a_step_that_torch_refuses_gives_no_estimate() -> None:
    """Norms of one value: a ValueError of torch, before the training itself says what to change."""
    alone = replace(RUN, model="resnet18", recipe=replace(RECIPE, batch_size=1))
    assert seconds(alone) is None
