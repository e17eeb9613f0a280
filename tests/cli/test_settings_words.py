"""Settings are words, and options that stand for them are accepted; help explains both and designs."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from senet.cli.commands import COMMANDS, app
from senet.cli.completion import (
    complete_data,
    complete_design,
    complete_model,
    complete_origin,
    complete_recipe,
    complete_space,
    complete_strategy,
)
from senet.cli.setting_list import setting_list
from senet.cli.settings_words import (
    CompareSettings,
    FoldSettings,
    ImageSettings,
    StudySettings,
    TrainSettings,
    as_words,
    taken,
)
from senet.errors import SenetError
from senet.experiments.recipe import Recipe
from senet.experiments.run import Run
from senet.search.run_search import STRATEGIES
from senet.search.space import Space
from senet.spec import SESpec
from senet.spec_words import EXAMPLES

KINDS = (ImageSettings, TrainSettings, StudySettings, CompareSettings, FoldSettings)


@pytest.mark.parametrize(
    ("words", "wanted", "rest"),
    [
        ([], StudySettings(), []),
        (["workers=4", "optim.lr=0.1"], StudySettings(workers=4), ["optim.lr=0.1"]),
        (["fused=false", "graph=true", "model=resnet8"], StudySettings(fused=False, graph=True), ["model=resnet8"]),
        (["cluster=10.0.0.1:6379"], StudySettings(cluster="10.0.0.1:6379"), []),
        (["data.workers=4", "study.toml"], StudySettings(), ["data.workers=4", "study.toml"]),
    ],
)
def test_settings_are_taken_out_of_the_words(words: list[str], wanted: StudySettings, rest: list[str]) -> None:
    assert taken(words, StudySettings) == (wanted, rest)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("workers=many", "workers = 'many' does not fit"),
        ("workers=-1", "workers = -1 is out of range"),
        ("threads=1.5", "threads = 1.5 does not fit"),
        ("save_every=nan", "save_every"),
        ("fused=no", "fused = 'no' does not fit"),
        ("on_bad_image=keep", "on_bad_image = 'keep' is not known; choose one of: error, skip"),
        ("worker=4", "Did you mean 'workers'?"),
        ("tensorbord=true", "Did you mean 'tensorboard'?"),
    ],
)
def test_settings_that_do_not_fit_are_refused(word: str, said: str) -> None:
    with pytest.raises(SenetError) as error:
        taken([word], TrainSettings)
    assert said in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("kind", KINDS)
def test_no_field_of_a_run_or_a_space_is_taken_for_a_setting(kind: type[ImageSettings]) -> None:
    for name in {one.name for of in (Run, Recipe, Space) for one in fields(of)}:
        assert taken([f"{name}=1"], kind) == (kind(), [f"{name}=1"])


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["--workers", "4", "study.toml"], ["study.toml", "workers=4"]),
        (["--workers=4", "--output", "x"], ["--output", "x", "workers=4"]),
        (["--no-fused", "--graph", "--per-gpu", "-1"], ["fused=false", "graph=true", "per_gpu=-1"]),
        (["--budget-trials", "5"], ["budget.trials=5"]),
        (["--", "--workers"], ["--", "--workers"]),
        (["-j", "2", "x"], ["x", "jobs=2"]),
        (["-j4", "-j=3"], ["jobs=4", "jobs=3"]),
    ],
)
def test_options_that_stand_for_settings_become_words(args: list[str], wanted: list[str]) -> None:
    assert as_words(args, fields(StudySettings), also={"--budget-trials": "budget.trials", "-j": "jobs"}) == wanted


def test_an_option_without_its_value_is_refused() -> None:
    with pytest.raises(SenetError, match="--workers has no value; write workers=VALUE"):
        as_words(["--workers"], fields(ImageSettings), also={})


@pytest.mark.parametrize("name", [name for commands in COMMANDS.values() for name in commands])
def test_help_shows_no_types_of_switches_and_explains_designs(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).output
    assert "<bool>" not in shown
    assert "<list" not in shown
    if " --se " in shown:
        assert "VARIANT:KEY=VALUE" in shown
        assert "docs/designs.md" in shown


@pytest.mark.parametrize(("name", "most"), [("compare", 14), ("train", 16), ("fold", 18), ("search", 11), ("run", 14)])
def test_a_command_has_few_parameters(name: str, most: int) -> None:
    from typer.main import get_command

    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert len([one for one in command.params if one.name != "help"]) <= most


def test_values_are_completed() -> None:
    assert complete_model("resnet2") == ["resnet20"]
    assert complete_data("cifar") == ["cifar10", "cifar100"]
    assert "sgd-cosine" in complete_recipe("s")
    assert complete_design("b") == ["bump", "bump_conv"]
    assert complete_design("plain+bump:bias=false,gate=unit_t") == ["plain+bump:bias=false,gate=unit_tanh"]
    assert complete_space("search_k") == ["search_kth"]
    assert complete_origin("t") == ["timm", "torchvision"]
    assert set(complete_strategy("")) == {*STRATEGIES, "shared"}


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("senet train optim.n", ["optim.name=", "optim.nesterov="]),
        ("senet train optim.name=ad", ["optim.name=adam", "optim.name=adamw", "optim.name=adadelta"]),
        ("senet compare on_bad", ["on_bad_image="]),
        ("senet cost resnet2", ["resnet20"]),
        ("senet compare --se eca --se s", ["standard", "slow_squeeze", "slow_excite", "slow_both", "se", "srm"]),
    ],
)
def test_the_shell_is_offered_values(typed: str, shown: list[str]) -> None:
    asked = {
        "_SENET_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    found = CliRunner().invoke(app, [], prog_name="senet", env=asked)
    assert found.output.split() == shown


def test_every_setting_has_a_default_or_values_and_a_meaning() -> None:
    found = setting_list()
    names = [one.name for one in found]
    assert {"model", "data.crop", "recipe.preset", "optim.lr", "schedule.steps", "augment.flip", "se.gate"} < {*names}
    assert {"budget.trials", "stop_early.rule", "workers", "on_bad_image"} < {*names}
    assert len(names) == len(set(names))
    assert all(len(one.meaning) > 10 and one.meaning[-1] in ".)" and one.values for one in found)
    by_name = {one.name: one for one in found}
    assert by_name["optim.name"].names == ("sgd", "adam", "adamw", "adadelta")
    assert by_name["optim.lr"].values == "a number above 0 and at most 1e+30"
    assert by_name["data.crop"].default == 0.875


def test_every_key_of_a_design_has_an_example_that_parses() -> None:
    assert {*EXAMPLES} == {one.name for one in fields(SESpec)}
    for key, word in EXAMPLES.items():
        assert getattr(SESpec.parse(word), key) != getattr(SESpec(), key)


def test_settings_are_listed_by_pattern() -> None:
    found = CliRunner().invoke(app, ["settings", "optim.l*", "--json"])
    assert [one["name"] for one in json.loads(found.output)] == ["optim.lr", "optim.layer_decay"]
    shown = CliRunner().invoke(app, ["settings"], env={"COLUMNS": "60"}).output
    assert max(map(len, shown.splitlines())) <= 60
    assert "schedule.warmup_epochs" in shown


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["settings", "optim"], "Did you mean 'optim.*'?"),
        (["settings", "lr"], "Did you mean '*lr*'?"),
        (["settings", "recip.epochs"], "Did you mean 'recipe.epochs'?"),
        (["models", "resnt20"], "Did you mean 'resnet20'?"),
        (["models", "--kinds", "eco"], "Did you mean 'eca'?"),
        (["models", "[" * 300], "... `senet models` lists all."),
    ],
)
def test_a_pattern_that_matches_nothing_names_one_that_does(words: list[str], hint: str) -> None:
    found = CliRunner().invoke(app, words)
    assert isinstance(found.exception, SenetError)
    assert hint in str(found.exception)


def test_the_page_of_designs_has_all_keys_of_a_design() -> None:
    page = (Path(__file__).parents[2] / "docs" / "designs.md").read_text()
    assert all(f"`{one.name}`" in page for one in fields(SESpec))
