"""Weights that a function of the user's own loads itself are found, and every design starts with their outputs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import senet
from senet.cli.commands import app
from senet.data.loading import load
from senet.errors import CheckpointError, SpecError, UsageError
from senet.execution.asked_run import asked_values, check_models, made_run
from senet.experiments.data_spec import DataSpec
from senet.experiments.run import BUILT
from senet.experiments.study import Row, Study
from senet.networks.built_weights import built_weights, comes_trained
from senet.networks.stated import ensure_unchanged
from senet.spec import SESpec
from senet.training.initial_network import initial, started
from senet.training.opened_network import open_without_images

SOURCE = """
import senet, torch

def fresh():
    return senet.create_model("resnet8", num_classes=10, in_chans=1)

def trained(num_classes=10):
    model = senet.create_model("resnet8", num_classes=10, in_chans=1)
    model.load_state_dict(torch.load("weights.pt"))
    if num_classes != 10:
        model.reset_classifier(num_classes)
    return model

def told(num_classes, in_chans):
    return senet.create_model("resnet8", num_classes=num_classes, in_chans=in_chans)

def seeded():
    torch.manual_seed(0)
    return fresh()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(SOURCE)
    model = senet.create_model("resnet8", num_classes=10, in_chans=1)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.1, 0.5)
    torch.save(model.state_dict(), "weights.pt")
    return tmp_path


def asked(function: str, **values: object):
    return made_run(asked_values(None, data="digits", model=f"net.py:{function}", **values))


@pytest.mark.usefixtures("own")
def test_a_function_that_loads_weights_is_fine_tuned_and_its_blocks_start_as_the_identity() -> None:
    run = asked("trained")
    assert run.weights == BUILT
    assert run.weights_hash
    assert run.recipe.optim.block_lr == 10  # of the recipe finetune
    data = load(run.data)
    x = torch.rand(4, *data.shape)
    plain = initial(run, data)
    blocks = initial(replace(run, se=(SESpec(reduction=4),)), data)
    assert plain.trained
    assert blocks.trained
    assert not plain.fresh
    assert blocks.fresh == {name for name, _ in blocks.model.named_parameters() if ".se." in name}
    assert torch.equal(plain.model.eval()(x), blocks.model.eval()(x))
    assert any("loads its weights itself" in note for note in plain.notes)


@pytest.mark.usefixtures("own")
def test_a_function_with_fresh_weights_starts_as_before() -> None:
    run = asked("fresh")
    assert (run.weights, run.weights_hash, run.recipe.optim.block_lr) == ("", "", 1)
    with pytest.raises(SpecError, match=r"weights = 'built': net.py:fresh loads no weights"):
        asked("fresh", weights=BUILT)


@pytest.mark.usefixtures("own")
def test_a_function_that_sets_the_seed_is_refused() -> None:
    with pytest.raises(SpecError, match=r"net.py:seeded sets the seed .* leave that out"):
        asked("seeded")
    assert asked("seeded", weights="weights.pt").weights == "weights.pt"


@pytest.mark.usefixtures("own")
def test_a_new_classifier_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    run, data = asked("trained"), load(DataSpec(name="digits"))
    monkeypatch.setattr(type(data), "num_classes", property(lambda self: 7))
    start = initial(run, data)
    assert start.fresh == {"fc.weight", "fc.bias"}
    assert not start.trained


def test_other_weights_of_the_same_function_are_another_run(own: Path) -> None:
    run = asked("trained")
    ensure_unchanged(run)
    state = torch.load("weights.pt")
    torch.save({name: value + 1 for name, value in state.items()}, "weights.pt")
    with (own / "net.py").open("a") as file:  # the function is not built again while its source is the same
        file.write("\n")
    later = asked("trained")
    assert later.weights_hash != run.weights_hash
    with pytest.raises(CheckpointError, match="has changed since the run was made"):
        ensure_unchanged(run)


@pytest.mark.usefixtures("own")
def test_networks_of_training_functions_keep_their_outputs_too() -> None:
    spec = (SESpec(reduction=4),)
    x = torch.rand(2, 1, 8, 8)
    for model in ("net.py:trained", built_in_python):
        trained = comes_trained(model, "model")
        plain, blocks = (started(model, se, seed=3, trained=trained).eval() for se in ((), spec))
        assert torch.equal(plain(x), blocks(x))
    assert not comes_trained("net.py:fresh", "model")
    fresh, blocks = (started("net.py:fresh", se, seed=3).eval() for se in ((), spec))
    assert not torch.equal(fresh(x), blocks(x))  # the blocks of the papers


def built_in_python() -> nn.Module:
    model = senet.create_model("resnet8", num_classes=10, in_chans=1)
    model.load_state_dict(torch.load("weights.pt"))
    return model


@pytest.mark.usefixtures("own")
def test_a_function_that_must_be_told_its_classes_and_channels_is_built() -> None:
    run = asked("told")
    assert run.weights == ""
    check_models(Study(name="s", title="", rows=(Row(id="a", label="A", run=run),)))
    assert initial(run, load(run.data)).model(torch.rand(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.usefixtures("own")
def test_a_network_with_loaded_weights_needs_no_others_to_be_explained_or_exported() -> None:
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(open_without_images("net.py:trained").model(x), built_in_python().eval()(x))
    with pytest.raises(UsageError, match="has no weights; pass --weights FILE"):
        open_without_images("net.py:fresh")
    words = ["eval", "data.test_size=50", "--json", "--model"]
    tested = [
        CliRunner().invoke(app, [*words, *more])
        for more in (["net.py:trained"], ["net.py:fresh", "--weights", "weights.pt"], ["net.py:fresh"])
    ]
    loaded, given = (json.loads(one.output) for one in tested[:2])
    assert loaded["confusion"] == given["confusion"]
    assert loaded["loss"] == given["loss"]
    assert "pass the folder of a run, or --model with --weights" in str(tested[2].exception)


def test_constants_and_networks_without_kernels_are_not_loaded_weights() -> None:
    def ones() -> nn.Module:
        layer = nn.Linear(8, 8)
        nn.init.ones_(layer.weight)
        return layer

    def identity() -> nn.Module:
        network = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 8))
        for layer in network[:2]:
            nn.init.dirac_(layer.weight)
        nn.init.eye_(network[2].weight)
        return network

    assert not built_weights(ones, "ones").loaded
    assert not built_weights(identity, "identity").loaded
    assert not built_weights(lambda: nn.Sequential(nn.ReLU(), nn.Dropout()), "none").loaded
