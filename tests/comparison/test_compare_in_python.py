"""`senet.compare` with a training function of the user's own."""

import json
import random
import sys

import pytest
import torch
from torch import nn

import senet
from senet.cli import main
from senet.errors import CheckpointError, DataError, SpecError
from senet.experiments.setup import Setup
from senet.experiments.statistics import differences


def train(design, seed: int) -> float:
    """A stand-in for a trainer: a block gains a point, with an error that the seed makes."""
    return 80 + seed + (1 + random.Random(f"{design} {seed}").gauss(0, 0.1) if design else 0)


def test_a_training_function_gets_the_intervals_and_verdicts_of_its_numbers():
    found = senet.compare(train, ["standard", "bump"], seeds=4)
    assert [line.row.label for line in found.lines] == ["plain", "standard r=16", "bump r=16"]
    values = [{s: train(d, s) for s in range(4)} for d in found_designs(found)]
    for line, expected in zip(found.lines[1:], differences(values[1:], values[0]), strict=True):
        assert line.difference == expected
        assert line.verdict is not None
        assert line.verdict.word == "pays off"


def found_designs(found: senet.Comparison):
    return [row.run.se for row in found.study.rows]


def test_every_design_is_trained_with_every_seed_seed_by_seed():
    calls = []

    def record(design, seed: int) -> float:
        calls.append((len(design), seed))
        return 50.0 + seed

    senet.compare(record, [senet.SESpec(reduction=8)], seeds=[7, 3])
    assert calls == [(0, 7), (1, 7), (0, 3), (1, 3)]


def test_a_mapping_compares_what_the_function_takes_under_its_names():
    found = senet.compare(
        lambda build, seed: build(seed), {"old": lambda s: 50 + s, "new": lambda s: 45 + 1.1 * s}, baseline="old"
    )
    new = found.as_dict()["rows"][1]
    assert (new["id"], new["versus"], new["verdict"]["word"]) == ("new", "old", "does not pay off")
    assert new["difference"]["mean"] == pytest.approx(-4.8)


def test_text_table_and_answer_state_that_only_seeds_are_in_the_intervals(tmp_path):
    found = senet.compare(train, ["standard"], seeds=3)
    head = found.table().splitlines()
    assert "params" not in found.table()
    assert "missing" not in str(found)
    assert "accuracy" in "".join(head[:2])
    assert "the spread over seeds alone" in str(found)
    assert "pays off" in str(found)
    values = json.loads(json.dumps(found.as_dict()))
    assert values["rows"][1]["n"] == 3
    assert values["rows"][1]["params"] is None
    assert not values["half_done"]
    pytest.importorskip("matplotlib")
    found.figure(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text().count("pays off") == 1


@pytest.mark.parametrize("gain", [0.3, 0.1, 0.7])
def test_differences_that_are_equal_but_for_rounding_have_no_interval(gain):
    found = senet.compare(lambda design, seed: 50 + 0.1 * seed + gain * len(design), ["standard"], seeds=5)
    assert str(found.lines[1].verdict) == "undecided: equal differences show no spread; more seeds may"
    assert "< 0.001" not in found.table()


def test_two_seeds_give_no_verdict():
    found = senet.compare(train, ["standard"], seeds=2)
    assert not found.lines[1].verdict.decided
    assert "two seeds" in str(found)


@pytest.mark.parametrize(
    ("designs", "changes", "said"),
    [
        ([], {}, "designs = "),
        (None, {}, "designs = "),
        ({}, {}, "designs = "),
        (["plain"], {}, "with itself"),
        (["stanard"], {}, "Did you mean 'standard'"),
        ({"old": 1, "new": 2}, {}, "baseline = 'plain'"),
        ({"plain": 1}, {}, "at least two names"),
        ({"plain": 1, "": 2}, {}, "at least two names"),
        ({"plain": 1, 2: 2}, {}, "at least two names"),
        (["standard"], {"seeds": 0}, "seeds of a comparison = 0"),
        (["standard"], {"seeds": 2.5}, "seeds of a comparison = 2.5"),
        (["standard"], {"seeds": "many"}, "seeds = 'many' is not valid"),
        (["standard"], {"seeds": "auto", "max_seeds": 2}, "max_seeds of a comparison = 2"),
        (["standard"], {"seeds": [1, 1]}, "each once"),
        (["standard"], {"margin": -1}, "margin = -1"),
        (["standard"], {"baseline": "nope"}, "baseline = 'nope'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_the_first_training(designs, changes, said):
    def fail(design, seed: int) -> float:
        raise AssertionError("trained")

    with pytest.raises(SpecError, match=said) as error:
        senet.compare(fail, designs, **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [None, float("nan"), -1, 101, "much"])
def test_a_function_that_returns_no_percentage_is_refused(value):
    with pytest.raises(SpecError, match=r"train\('plain', 0\) = .* is not a number from 0 to 100"):
        senet.compare(lambda design, seed: value, ["standard"])


def test_fractions_are_refused():
    with pytest.raises(SpecError, match="in percent, not a fraction"):
        senet.compare(lambda design, seed: 0.9, ["standard"])


def test_a_recipe_is_a_name_or_a_mapping():
    with pytest.raises(SpecError, match="recipe = 3"):
        senet.compare("resnet8", "digits", ["standard"], recipe=3)


@pytest.mark.parametrize(
    ("gain", "seeds"),
    [(lambda seed: 5 + 0.1 * (seed % 2), 3), (lambda seed: 0.3 * (-1) ** seed * (seed % 3), 8)],
)
def test_auto_adds_seeds_until_every_design_is_decided(gain, seeds):
    calls = []

    def record(design, seed: int) -> float:
        calls.append(seed)
        return 60 + seed % 5 + (gain(seed) if design else 0)

    found = senet.compare(record, ["standard"], seeds="auto", max_seeds=8, margin=0.5)
    assert found.study.looks == (3, 5, 8)
    assert sorted(calls) == sorted([*range(seeds)] * 2), "each once, also over looks"
    assert found.lines[1].n == seeds
    assert (found.lines[1].verdict.word == "pays off") == (seeds == 3)
    assert found.lines[1].difference.alpha < 0.05


def test_values_are_kept_in_a_file_and_not_trained_again(tmp_path):
    calls = []

    def record(design, seed: int) -> float:
        calls.append((len(design), seed))
        if calls == [(0, 0), (1, 0), (0, 1)]:
            raise KeyboardInterrupt
        return train(design, seed)

    words = {"seeds": 3, "values": tmp_path / "new" / "values.jsonl"}
    with pytest.raises(KeyboardInterrupt):
        senet.compare(record, ["standard"], **words)
    found = senet.compare(record, ["standard"], **words)
    assert calls[3:] == [(0, 1), (1, 1), (0, 2), (1, 2)]
    assert found.as_dict() == senet.compare(train, ["standard"], seeds=3).as_dict()
    words["values"].write_text('{"design": "plain", "seed": 0}\n')
    with pytest.raises(CheckpointError, match=r"values.jsonl:1 is not a value of a training function"):
        senet.compare(record, ["standard"], **words)


def small() -> nn.Module:
    """A network of the user's own around one with residual units, with a layer that draws random numbers."""
    return nn.Sequential(senet.create_model("resnet8", num_classes=3, in_chans=1), nn.Dropout(0.5))


@pytest.mark.parametrize("model", [small, "resnet8"])
def test_a_function_of_a_network_gets_equal_weights_and_random_numbers_for_equal_seeds(model):
    seen = {}

    def look(network: nn.Module, seed: int) -> float:
        assert network.training
        drawn = torch.rand(3)
        state = network.state_dict()
        plain = {name: value for name, value in state.items() if ".se." not in name}
        seen.setdefault(seed, []).append((plain, drawn, len(senet.find(network))))
        return 50.0 + seed

    senet.compare(look, ["standard"], model=model, seeds=2)
    for plain, gated in seen.values():
        assert plain[0].keys() == gated[0].keys()
        assert all(torch.equal(value, gated[0][name]) for name, value in plain[0].items())
        assert torch.equal(plain[1], gated[1])
        assert (plain[2], gated[2]) == (0, 3)
    first, other = (runs[0][0] for runs in seen.values())
    assert not all(torch.equal(value, other[name]) for name, value in first.items())


def test_a_design_that_does_not_fit_the_network_is_refused_before_the_first_training():
    with pytest.raises(SpecError):
        senet.compare(lambda network, seed: 1 / 0, ["standard"], model=lambda: nn.Linear(3, 3))
    with pytest.raises(SpecError, match=r"returns a int; it must return a torch.nn.Module"):
        senet.compare(lambda network, seed: 1 / 0, ["standard"], model=lambda: 3)
    with pytest.raises(SpecError, match=r"model = ... takes a list of designs"):
        senet.compare(lambda network, seed: 1 / 0, {"plain": 1, "new": 2}, model=small)


@pytest.mark.slow
def test_a_named_network_gives_the_rows_of_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("senet.training.cost_measurement.SECONDS", 0.0)
    small = {"train_size": 40, "test_size": 20}
    found = senet.compare("resnet8", {"name": "digits", **small}, ["standard"], seeds=1, recipe={"epochs": 1})
    words = ["compare", "--model", "resnet8", "--se", "standard", "--seeds", "1", "--epochs", "1", "--json"]
    monkeypatch.setattr(sys, "argv", ["senet", *words, *(f"data.{name}={value}" for name, value in small.items())])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    answer = json.loads(capsys.readouterr().out)
    assert {name: answer[name] for name in found.as_dict()} == json.loads(json.dumps(found.as_dict()))
    assert len(list((tmp_path / "runs").glob("*/result.json"))) == 2
    assert "params" in found.table()


def test_a_named_network_is_trained_in_the_folder_of_runs(tmp_path):
    data = {"name": "digits", "train_size": 20, "test_size": 10}
    setup = Setup(fused=False, threads=1)
    words = {"seeds": [4], "recipe": {"epochs": 1}, "runs": tmp_path, "setup": setup, "cost": False}
    found = senet.compare("resnet8", data, ["standard"], **words)
    assert [(line.row.id, line.n, line.params) for line in found.lines] == [("plain", 1, 75002), ("standard", 1, 75793)]
    assert {json.loads(path.read_text())["run"]["seed"] for path in tmp_path.glob("*/result.json")} == {4}
    assert senet.compare("resnet8", data, ["standard"], **words).as_dict() == found.as_dict()


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("resnet8", ["standard"]), SpecError, "a training function and designs"),
        ((3, "digits", ["standard"]), SpecError, "a training function and designs"),
        (("resnet8", "digits", 3), SpecError, "not a list of designs"),
        (("resnet9", "digits", ["standard"]), SpecError, "resnet8"),
        (("resnet8", "nowhere", ["standard"]), DataError, "nowhere"),
        (("resnet8", 3, ["standard"]), SpecError, "data = 3"),
    ],
)
def test_a_wrong_network_or_data_set_is_refused(words, error, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        senet.compare(*words)
    assert not list(tmp_path.glob("runs/*"))


def test_an_error_of_the_training_function_names_design_and_seed_and_leaves_the_values(tmp_path):
    def fails(design, seed: int) -> float:
        if design and seed == 1:
            raise ZeroDivisionError("of mine")
        return 50.0 + seed

    with pytest.raises(ZeroDivisionError) as raised:
        senet.compare(fails, ["standard"], seeds=3, values=tmp_path / "values.jsonl")
    assert raised.value.__notes__ == ["in train('standard', 1)"]
    assert len((tmp_path / "values.jsonl").read_text().splitlines()) == 3
