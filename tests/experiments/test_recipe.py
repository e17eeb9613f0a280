"""Trainings as values: schedules against the papers, and numbers that make no sense refused early."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senet.errors import SpecError
from senet.experiments.recipe import OPTIMIZERS, RECIPES, SCHEDULES, Optim, Recipe, Schedule

KTH_TABLE_2 = (
    (0, 80, 1e-3),
    (81, 120, 1e-4),
    (121, 160, 1e-5),
    (161, 180, 1e-6),
    (181, 199, 0.5e-6),
)  # first, last, lr


def rate(recipe: Recipe, epoch: float, **options: Any) -> float:
    return recipe.optim.lr * recipe.schedule.factor(epoch, epochs=recipe.epochs, **options)


# ---- schedules


@pytest.mark.parametrize("name", ["kth-authors", "kth-paper"])
def test_the_kth_recipes_follow_their_table_of_learning_rates(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.epochs == 200
    for first, last, lr in KTH_TABLE_2:
        for epoch in (first, (first + last) // 2, last, last + 0.999):
            assert rate(recipe, epoch) == pytest.approx(lr, rel=1e-12)


def test_the_table_of_learning_rates_is_the_transcribed_one(shared: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    tables = yaml.safe_load((shared / "papers" / "reduction_ratio.yaml").read_text(encoding="utf-8"))["tables"]
    rows = next(table["rows"] for table in tables if table["number_in_paper"] == 2)
    printed = [(row["first_epoch"], row["last_epoch"], float(row["learning_rate"])) for row in rows]
    assert printed[:-1] == list(KTH_TABLE_2[:-1])
    assert printed[-1] == (181, 200, 0.5e-6)  # would be 201 epochs: the authors' code stops after 200


def test_the_recipe_of_the_variations_decays_by_0_7_every_epoch() -> None:
    recipe = RECIPES["variations-table1"]
    assert [rate(recipe, epoch) for epoch in (0, 1, 2, 10)] == pytest.approx([1.0, 0.7, 0.49, 0.7**10])
    assert rate(recipe, 3.99) == rate(recipe, 3)
    assert rate(recipe, 19) > 1e-3 > rate(recipe, 20)


@given(epochs=st.integers(1, 300), part=st.floats(0, 1))
def test_cosine_falls_from_one_to_zero(epochs: int, part: float) -> None:
    schedule = Schedule(name="cosine")
    assert schedule.factor(0, epochs=epochs) == 1
    assert schedule.factor(epochs / 2, epochs=epochs) == pytest.approx(0.5)
    assert schedule.factor(epochs, epochs=epochs) == pytest.approx(0, abs=1e-15)
    at = part * epochs
    assert 0 <= schedule.factor(at, epochs=epochs) <= 1
    assert schedule.factor(at, epochs=epochs) >= schedule.factor(min(at + 0.1, epochs), epochs=epochs)


def test_the_last_step_of_a_cosine_is_nearly_zero_but_not_zero() -> None:
    last = Schedule(name="cosine").factor(30 - 1 / 391, epochs=30)
    assert 0 < last < 1e-7


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_starts_above_zero_rises_linearly_and_ends_at_the_schedule(name: str) -> None:
    step = 1 / 100
    plain = Schedule(name=name, gamma=1.0)
    warm = dataclasses.replace(plain, warmup_epochs=2)
    for number in range(200):
        epoch = number * step
        factor = warm.factor(epoch, epochs=10, step=step)
        assert 0 < factor <= plain.factor(epoch, epochs=10)
        assert factor == pytest.approx(plain.factor(epoch, epochs=10) * (number + 1) / 200)
    for epoch in (2, 5.5, 9.99):
        assert warm.factor(epoch, epochs=10, step=step) == plain.factor(epoch, epochs=10)


def test_steps_hold_from_their_first_epoch_on() -> None:
    schedule = Schedule(name="steps", steps=((2, 0.1), (4, 0.01)))
    assert [schedule.factor(epoch, epochs=6) for epoch in (0, 1.99, 2, 3.99, 4, 5.9)] == [1, 1, 0.1, 0.1, 0.01, 0.01]


@given(epoch=st.floats(0, 1000), epochs=st.integers(1, 300))
def test_a_constant_schedule_is_one(epoch: float, epochs: int) -> None:
    assert Schedule().factor(epoch, epochs=epochs) == 1


@given(epoch=st.floats(0, 1000), epochs=st.integers(1, 300), warmup=st.floats(0, 10))
def test_factors_are_finite_and_never_negative(epoch: float, epochs: int, warmup: float) -> None:
    for name in SCHEDULES:
        factor = Schedule(name=name, gamma=0.7, steps=((3, 0.1),), warmup_epochs=warmup).factor(epoch, epochs=epochs)
        assert math.isfinite(factor)
        assert factor >= 0


# ---- recipes as the papers have them


def test_the_recipe_of_the_variations_is_the_stated_one() -> None:
    recipe = RECIPES["variations-table1"]
    assert (recipe.epochs, recipe.batch_size) == (50, 64)
    assert (recipe.optim.name, recipe.optim.lr, recipe.optim.weight_decay) == ("adadelta", 1.0, 0.0)
    assert (recipe.optim.rho, recipe.optim.eps) == (0.9, 1e-6)
    assert (recipe.schedule.name, recipe.schedule.gamma) == ("exponential", 0.7)
    assert recipe.augment == type(recipe.augment)()


def test_the_kth_recipes_differ_in_what_the_code_does_beside_the_paper() -> None:
    authors, paper = RECIPES["kth-authors"], RECIPES["kth-paper"]
    for recipe in (authors, paper):
        assert (recipe.batch_size, recipe.optim.name, recipe.optim.eps) == (32, "adam", 1e-7)
        assert (recipe.optim.weight_decay, recipe.optim.decay) == (2e-4, "kernels")
        assert recipe.augment.flip
    assert (authors.shuffle, authors.drop_last) == (False, True)
    assert (paper.shuffle, paper.drop_last) == (True, False)
    assert authors.augment.shift == pytest.approx((0.1, 0.3 / 32))
    assert paper.augment.shift == (0.1, 0.1)


def test_records_are_frozen_and_hashable() -> None:
    assert len({*RECIPES.values(), *RECIPES.values()}) == len(RECIPES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPES["digits"].epochs = 3  # type: ignore[misc]


def test_steps_given_as_whole_numbers_are_the_same_steps() -> None:
    whole = Schedule(name="steps", steps=((81, 1), (121, 0.1)))
    assert whole == Schedule(name="steps", steps=((81.0, 1.0), (121.0, 0.1)))
    assert repr(whole) == repr(Schedule(name="steps", steps=((81.0, 1.0), (121.0, 0.1))))


# ---- errors


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        (Optim, {"name": "adamax"}, "optim.name = 'adamax' is not known; choose one of: adadelta, adam, adamw, sgd."),
        (Optim, {"decay": "weight"}, "optim.decay = 'weight' is not known; choose one of: all, kernels, weights."),
        (Optim, {"lr": 0}, "optim.lr = 0 is out of range; give a number above 0 and at most 1e+30."),
        (Optim, {"lr": -0.1}, "optim.lr = -0.1 is out of range"),
        (Optim, {"lr": math.nan}, "optim.lr = nan is out of range"),
        (Optim, {"lr": math.inf}, "optim.lr = inf is out of range"),
        (
            Optim,
            {"weight_decay": -1e-4},
            "optim.weight_decay = -0.0001 is out of range; give a number from 0 to",
        ),
        (Optim, {"weight_decay": math.nan}, "optim.weight_decay = nan is out of range"),
        (Optim, {"momentum": 1.0}, "optim.momentum = 1.0 is out of range; give a number from 0 and below 1"),
        (Optim, {"momentum": -0.1}, "optim.momentum = -0.1 is out of range; give a number from 0 and below 1"),
        (Optim, {"betas": (0.9, 1.0)}, "optim.betas = (0.9, 1.0) is out of range; give a number from 0 and below 1"),
        (Optim, {"rho": math.nan}, "optim.rho = nan is out of range; give a number from 0 and below 1"),
        (Optim, {"eps": -1e-8}, "optim.eps = -1e-08 is out of range"),
        (
            Schedule,
            {"name": "step"},
            "schedule.name = 'step' is not known; choose one of: constant, cosine, exponential",
        ),
        (Schedule, {"gamma": 0}, "schedule.gamma = 0 is out of range; give a number above 0"),
        (Schedule, {"gamma": math.nan}, "schedule.gamma = nan is out of range; give a number above 0"),
        (
            Schedule,
            {"warmup_epochs": -1},
            "schedule.warmup_epochs = -1 is out of range",
        ),
        (Schedule, {"steps": ((9, 0.1), (3, 0.1))}, "schedule.steps = ((9.0, 0.1), (3.0, 0.1)) are out of order"),
        (Schedule, {"steps": ((9, -0.1),)}, "schedule.steps factor = -0.1 is out of range"),
        (Recipe, {"amp": "fp16"}, "recipe.amp = 'fp16' is not known; choose one of: bf16, off."),
        (Recipe, {"epochs": 0}, "recipe.epochs = 0 is out of range; give a whole number from 1 to 1,000,000."),
        (
            Recipe,
            {"batch_size": -1},
            "recipe.batch_size = -1 is out of range",
        ),
        (Recipe, {"accumulate": 0}, "recipe.accumulate = 0 is out of range; give a whole number from 1 to 1,000,000."),
        (Recipe, {"accumulate": 9, "batch_size": 8}, "recipe.accumulate = 9 is above the batch size 8."),
        (
            Recipe,
            {"label_smoothing": 1.0},
            "recipe.label_smoothing = 1.0 is out of range",
        ),
        (Recipe, {"ema": -0.1}, "recipe.ema = -0.1 is out of range; give a number from 0 and below 1"),
        (Recipe, {"ema": math.nan}, "recipe.ema = nan is out of range; give a number from 0 and below 1"),
        (Recipe, {"clip": -1.0}, "recipe.clip = -1.0 is out of range; give a number from 0 to 1e+30 (0 is off)."),
        (Recipe, {"clip": math.nan}, "recipe.clip = nan is out of range"),
    ],
    ids=str,
)
def test_a_number_that_makes_no_sense_is_refused_at_once(kind: type, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        kind(**values)
    assert str(caught.value).startswith(sentence)
    assert len(str(caught.value).splitlines()) == 1


def test_every_optimiser_and_schedule_can_be_asked_for() -> None:
    assert [Optim(name=name).name for name in OPTIMIZERS] == list(OPTIMIZERS)
    assert [Schedule(name=name).name for name in SCHEDULES] == list(SCHEDULES)
