"""A run that was stopped goes on with the same bits, wherever it was stopped."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from forks import DATA, RECIPE, RUN, STEPS, digest, drawn, train_digits

from senet import SESpec
from senet.data import DataSpec, load
from senet.errors import Interrupted
from senet.experiments.environment import environment
from senet.experiments.recipe import Optim, Schedule
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.training import evaluation as testing
from senet.training.checkpoint import Checkpoints
from senet.training.train import train

FEW = load(DataSpec(name="digits", train_size=100, test_size=50))  # five steps of 20 an epoch
OPTIMIZERS = {
    "sgd": Optim(lr=0.05, nesterov=True, weight_decay=5e-4),
    "adamw": Optim(name="adamw", lr=2e-3, weight_decay=0.05, decay="weights"),
    "adadelta": Optim(name="adadelta", lr=1.0, eps=1e-6),
}
SCHEDULES = {
    "cosine": Schedule(name="cosine", warmup_epochs=0.5),
    "steps": Schedule(name="steps", steps=((0.5, 0.3), (1.3, 0.1))),
}
FACTORS = (("off", "bf16"), (0.0, 0.99), tuple(OPTIMIZERS), tuple(SCHEDULES), (1, 3))
PAIRWISE = [
    ("off", 0.0, "sgd", "cosine", 1),
    ("bf16", 0.99, "sgd", "steps", 3),
    ("bf16", 0.0, "adamw", "cosine", 3),
    ("off", 0.99, "adamw", "steps", 1),
    ("off", 0.99, "adadelta", "cosine", 3),
    ("bf16", 0.0, "adadelta", "steps", 1),
]
OTHERS = [case for case in itertools.product(*FACTORS) if case not in PAIRWISE]


def test_the_quick_selection_has_every_pair_of_choices() -> None:
    for first, second in itertools.combinations(range(len(FACTORS)), 2):
        for pair in itertools.product(FACTORS[first], FACTORS[second]):
            assert any((case[first], case[second]) == pair for case in PAIRWISE)


def stop_and_go_on(run: Run, folder: Path, *stops: int, **kw: Any) -> None:
    """Train a run that is stopped again and again, each time some steps after it went on."""
    for steps in stops:
        with pytest.raises(Interrupted, match="stopped and saved; run the same command again") as caught:
            train_digits(run, folder, stop_at=steps, **kw)
        assert caught.value.exit_code == 75
    train_digits(run, folder, **kw)


@pytest.mark.parametrize(
    ("amp", "ema", "optimizer", "schedule", "accumulate"),
    [*PAIRWISE[1:3], *(pytest.param(*case, marks=pytest.mark.slow) for case in (PAIRWISE[0], *PAIRWISE[3:], *OTHERS))],
)
def test_a_resume_at_the_first_middle_or_last_step_of_an_epoch_changes_no_bit(
    amp: str, ema: float, optimizer: str, schedule: str, accumulate: int, tmp_path: Path
) -> None:
    recipe = replace(
        RECIPE,
        batch_size=20,
        optim=OPTIMIZERS[optimizer],
        schedule=SCHEDULES[schedule],
        amp=amp,
        ema=ema,
        accumulate=accumulate,
        clip=1.0,
        label_smoothing=0.1,
    )
    run = replace(RUN, data=FEW.spec, recipe=recipe, se=(SESpec(reduction=4),))
    train(run, FEW, tmp_path / "undisturbed")
    stop_and_go_on(run, tmp_path / "stopped", 1, 2, 2, 1, 2, 2, data=FEW)  # after 1, 3, 5 of 5 steps in both epochs
    assert digest(tmp_path / "stopped") == digest(tmp_path / "undisturbed")


def test_the_order_of_images_goes_on_where_it_was(tmp_path: Path) -> None:
    train_digits(RUN, tmp_path / "undisturbed", log=tmp_path / "log")
    stop_and_go_on(RUN, tmp_path / "stopped", 3, 9, 1, log=tmp_path / "log2")
    order, wanted = ([images for _, images in drawn(tmp_path / log)] for log in ("log2", "log"))
    assert order == wanted
    for epoch in (order[:STEPS], order[STEPS:]):
        assert sorted(image for images in epoch for image in images) == list(range(200))


@pytest.mark.parametrize(
    "test", [1, 6, *(pytest.param(batch, marks=pytest.mark.slow) for batch in (3, 5, 10))], ids="test batch {}".format
)
def test_a_stop_during_a_test_saves_the_trained_weights_not_the_averaged(
    test: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(RUN, data=FEW.spec, recipe=replace(RECIPE, ema=0.9, batch_size=20))
    small = lambda *args, **kw: testing.evaluate(*args, **kw, batch_size=10)  # noqa: E731 -- five batches a test
    monkeypatch.setattr("senet.training.train.evaluate", small)
    train(run, FEW, tmp_path / "undisturbed")
    with pytest.raises(Interrupted):
        train_digits(run, tmp_path / "stopped", stop_at_test=test, data=FEW)
    found = Checkpoints(tmp_path / "stopped" / "checkpoints").latest()
    assert found is not None
    assert found.step == (5 if test <= 5 else 10)
    for _ in range(test == 10):  # all steps are done: the last test is all there is to stop
        with pytest.raises(Interrupted):
            train_digits(run, tmp_path / "stopped", stop_at_test=1, data=FEW)
    train(run, FEW, tmp_path / "stopped")
    assert digest(tmp_path / "stopped") == digest(tmp_path / "undisturbed")


def test_a_checkpoint_at_the_end_of_an_epoch_goes_on_with_the_next(tmp_path: Path) -> None:
    train(RUN, DATA, tmp_path / "undisturbed", Setup(save_every=0.0))
    with pytest.raises(Interrupted):
        train_digits(RUN, tmp_path / "stopped", stop_at=STEPS, save_every=0.0)
    stop_and_go_on(RUN, tmp_path / "stopped", STEPS, save_every=0.0)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "undisturbed")


def test_another_number_of_threads_warns_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Interrupted):
        train_digits(RUN, tmp_path, stop_at=15)
    here = environment("cpu")
    there = replace(here, threads=96, torch="3.1", commit="0123456789ab")
    monkeypatch.setattr("senet.training.train.environment", lambda *args, **kw: there)
    changes = rf"torch {re.escape(here.torch)} -> 3\.1, threads {here.threads} -> 96"
    with pytest.warns(
        UserWarning, match=rf"resumed in a different environment, so results will not be bitwise identical: {changes}"
    ):
        result = train(RUN, DATA, tmp_path)
    assert result.environment == there
    assert len(result.curve) == 2


def test_times_of_a_stopped_run_add_up(tmp_path: Path) -> None:
    run = replace(RUN, recipe=replace(RECIPE, batch_size=100))
    with pytest.raises(Interrupted):
        train_digits(run, tmp_path, stop_at=1, seconds=0.2)
    result = train_digits(run, tmp_path, seconds=0.2)
    assert result.train_seconds >= 0.8
    assert all(epoch.seconds >= 0.4 for epoch in result.curve)
    assert result.seconds >= result.train_seconds
