"""A run and its id: equal values, equal ids, on every machine and in every later version."""

import dataclasses
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from senet.errors import SpecError
from senet.experiments import decoding
from senet.experiments import run as run_module
from senet.experiments.data_spec import Augment, DataSpec
from senet.experiments.recipe import RECIPES, Optim, Recipe, Schedule
from senet.experiments.run import SCHEMA, Run
from senet.spec import SESpec

# Ids are names of folders that exist: a change of one of these means that finished runs are no longer found.
_CNN3 = {"model": "cnn3", "data": "cifar10", "recipe": "variations-table1"}
_KTH = {"model": "kth_resnet52", "data": {"name": "cifar10", "normalize": "kth"}, "recipe": "kth-authors"}
IDS: dict[str, dict[str, Any]] = {
    "bcf924f477e9": {},
    "f8e427c57c93": _CNN3,
    "fa6880e63455": {**_CNN3, "seed": 4, "se": {"variant": "bump", "bias": False}},
    "c388b0139767": {"model": "resnet8", "recipe": "digits", "se": "standard:reduction=4"},
    "41647e73e0b8": {**_KTH, "se": "standard:reduction=8-2-16"},
}

ONE_CHANGE = [
    Run(),
    Run(model="cnn3"),
    Run(seed=1),
    Run(se=(SESpec(),)),
    Run(se=(SESpec(), SESpec(slot="pre"))),
    Run(se=(SESpec(slot="pre"), SESpec())),
    *(
        Run(se=(SESpec(**change),))
        for change in (
            {"variant": "bump"},
            {"reduction": 8},
            {"reduction": (8, 2)},
            {"reduction": (2, 8)},
            {"squeeze": "max"},
            {"gate": "tanh"},
            {"activation": "silu"},
            {"bias": False},
            {"slot": "pre"},
            {"stages": (1,)},
            {"stages": (1, 2)},
            {"slow_rule": "half_size"},
            {"rounding": "timm"},
        )
    ),
    *(
        Run(data=DataSpec(**change))
        for change in (
            {"name": "cifar10"},
            {"normalize": "unit"},
            {"size": 32},
            {"train_size": 10},
            {"test_size": 10},
            {"subset_seed": 1},
        )
    ),
    *(
        Run(recipe=Recipe(**change))
        for change in (
            {"epochs": 1},
            {"batch_size": 64},
            {"label_smoothing": 0.1},
            {"amp": "bf16"},
            {"channels_last": False},
            {"ema": 0.9},
            {"accumulate": 2},
            {"clip": 1.0},
            {"shuffle": False},
            {"drop_last": True},
            {"optim": Optim(lr=0.2)},
            {"optim": Optim(name="adam")},
            {"optim": Optim(betas=(0.9, 0.99))},
            {"schedule": Schedule(name="cosine")},
            {"schedule": Schedule(steps=((1, 0.1),))},
            {"augment": Augment(flip=True)},
            {"augment": Augment(shift=(0.1, 0))},
            {"augment": Augment(shift=(0, 0.1))},
        )
    ),
]


def later(kind: type, name: str) -> type:
    """Make the record as a later version may have it: with one more field, whose default is the old meaning."""
    field = (name, int, dataclasses.field(default=0))
    return dataclasses.make_dataclass(kind.__name__, [field], bases=(kind,), frozen=True, kw_only=True)


# ---- ids


@pytest.mark.parametrize(("known", "values"), IDS.items(), ids=IDS)
def test_ids_stay_what_they_were(known: str, values: dict[str, Any]) -> None:
    assert decoding.run(values).id == known


def test_an_id_is_a_short_name_for_a_folder() -> None:
    assert all(len(run.id) == 12 and set(run.id) <= set("0123456789abcdef") for run in ONE_CHANGE)


def test_every_field_changes_the_id() -> None:
    assert len({run.id for run in ONE_CHANGE}) == len(set(ONE_CHANGE)) == len(ONE_CHANGE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Recipe(optim=Optim(lr=1)), Recipe(optim=Optim(lr=1.0))),
        (Recipe(optim=Optim(betas=(0, 0.9))), Recipe(optim=Optim(betas=(0.0, 0.9)))),
        (Recipe(schedule=Schedule(warmup_epochs=1)), Recipe(schedule=Schedule(warmup_epochs=1.0))),
        (Recipe(schedule=Schedule(steps=((81, 1),))), Recipe(schedule=Schedule(steps=((81.0, 1.0),)))),
        (Recipe(augment=Augment(shift=(0, 0.1))), Recipe(augment=Augment(shift=(0.0, 0.1)))),
        (Recipe(clip=1), Recipe(clip=1.0)),
    ],
)
def test_runs_that_are_equal_have_equal_ids_whether_numbers_are_written_with_a_point_or_not(
    one: Recipe, other: Recipe
) -> None:
    assert Run(recipe=one) == Run(recipe=other)
    assert Run(recipe=one).id == Run(recipe=other).id


def test_ids_are_equal_in_other_processes_and_need_no_torch() -> None:
    text = json.dumps([run.as_dict() for run in ONE_CHANGE])
    code = (
        "import json, sys\n"
        "from senet.experiments import decoding\n"
        "print([decoding.run(values).id for values in json.load(sys.stdin)])\n"
        "assert 'torch' not in sys.modules\n"
    )
    for hash_seed in ("0", "42"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        assert done.stdout.strip() == str([run.id for run in ONE_CHANGE])


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_keeps_its_id_through_a_file(name: str) -> None:
    run = Run(model="cnn3", se=(SESpec(reduction=(8, 2, 16)),), recipe=RECIPES[name], seed=3)
    again = decoding.run(json.loads(json.dumps(run.as_dict(), indent=2)))
    assert again == run
    assert again.id == run.id


def test_a_new_field_with_the_old_meaning_as_its_default_leaves_all_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    designed = [run for run in ONE_CHANGE if run.se]
    before = [run.id for run in ONE_CHANGE], [run.id for run in designed]

    newer = later(Run, "later")
    monkeypatch.setattr(run_module, "Run", newer)
    assert [newer(**_fields(run)).id for run in ONE_CHANGE] == before[0]
    assert newer(later=1).id != newer().id

    spec = later(SESpec, "later")
    monkeypatch.setattr(run_module, "SESpec", spec)
    with_newer = [newer(**{**_fields(run), "se": tuple(spec(**_fields(s)) for s in run.se)}) for run in designed]
    assert [run.id for run in with_newer] == before[1]
    assert newer(se=(spec(later=1),)).id != newer(se=(spec(),)).id


def test_a_new_field_deep_in_the_recipe_leaves_all_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [run.id for run in ONE_CHANGE]
    optim = later(Optim, "later")
    recipe = dataclasses.make_dataclass(
        "Recipe",
        [("optim", optim, dataclasses.field(default_factory=optim))],
        bases=(Recipe,),
        frozen=True,
        kw_only=True,
    )
    newer = dataclasses.make_dataclass(
        "Run", [("recipe", recipe, dataclasses.field(default_factory=recipe))], bases=(Run,), frozen=True, kw_only=True
    )
    monkeypatch.setattr(run_module, "Run", newer)

    def moved(run: Run) -> Run:
        inner = recipe(**{**_fields(run.recipe), "optim": optim(**_fields(run.recipe.optim))})
        return newer(**{**_fields(run), "recipe": inner})  # type: ignore[no-any-return]

    assert [moved(run).id for run in ONE_CHANGE] == before
    assert newer(recipe=recipe(optim=optim(later=1))).id != newer().id


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def test_defaults_are_those_of_schema_1() -> None:
    # ids hold only what differs from the defaults: another default needs another schema version, or old results lie
    assert SCHEMA == 1
    wanted = {
        "model": "resnet20",
        "se": (),
        "data": {
            "name": "digits",
            "normalize": "standard",
            "size": 0,
            "train_size": 0,
            "test_size": 0,
            "subset_seed": 0,
        },
        "recipe": {
            "epochs": 20,
            "batch_size": 128,
            "optim": {
                "name": "sgd",
                "lr": 0.1,
                "weight_decay": 0.0,
                "decay": "all",
                "momentum": 0.9,
                "nesterov": False,
                "betas": (0.9, 0.999),
                "rho": 0.9,
                "eps": 1e-8,
            },
            "schedule": {"name": "constant", "gamma": 1.0, "steps": (), "warmup_epochs": 0.0},
            "augment": {
                "flip": False,
                "crop": 0,
                "padding": "zero",
                "shift": (0.0, 0.0),
                "cutout": 0,
                "resized_crop": 0.0,
            },
            "label_smoothing": 0.0,
            "amp": "off",
            "channels_last": True,
            "ema": 0.0,
            "accumulate": 1,
            "clip": 0.0,
            "shuffle": True,
            "drop_last": False,
        },
        "seed": 0,
    }
    assert_holds(dataclasses.asdict(Run()), wanted)


def assert_holds(values: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Assert that values are the wanted ones; there may be more of them."""
    for name, value in wanted.items():
        if isinstance(value, dict):
            assert_holds(values[name], value)
        else:
            assert values[name] == value, name


# ---- the value


def test_the_design_in_words() -> None:
    assert Run().design == "plain"
    assert Run(se=(SESpec(variant="slow_both", reduction=8),)).design == "slow_both r=8"
    assert Run(se=(SESpec(), SESpec(slot="pre"))).design == "standard r=16 + standard r=16 slot=pre"


def test_runs_are_frozen_and_usable_as_keys() -> None:
    assert {Run(seed=1): "a", Run(seed=1): "b"} == {Run(seed=1): "b"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        Run().seed = 3  # type: ignore[misc]


def test_the_values_carry_the_version_of_their_meaning() -> None:
    assert Run().as_dict()["schema"] == SCHEMA
    with pytest.raises(SpecError, match="schema = 99 is of another version of senet, this one reads 1; run it again"):
        decoding.run({**Run().as_dict(), "schema": 99})


@pytest.mark.parametrize("name", ["variant", "squeeze", "gate", "activation"])
def test_a_function_in_a_design_cannot_be_written_down(name: str) -> None:
    run = Run(se=(SESpec(), SESpec(**{name: abs})))
    for write in (run.as_dict, lambda: run.id):
        with pytest.raises(SpecError) as caught:
            write()
        assert str(caught.value) == f"se[1].{name} is a function; a run needs names, so that it can be repeated."


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SpecError, match="seed = -1 is out of range; give a whole number from 0"):
        Run(seed=-1)
