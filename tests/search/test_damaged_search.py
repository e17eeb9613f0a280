"""Damaged copies of what a search is read from again: a right record or one line, whatever is in them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.mutations import TOKENS, as_file, judge, mutants

from senet import SESpec
from senet.data import DataSpec, load
from senet.data.dataset import Data
from senet.errors import CheckpointError, UsageError
from senet.execution.store import Store
from senet.experiments.early_stopping import Pruned, Rule, Threshold, read_pruned_list
from senet.experiments.recipe import Recipe
from senet.experiments.result import Epoch
from senet.experiments.run import Run
from senet.search.reread import reread
from senet.search.saved_search import read_saved_search
from senet.search.shared_network import shared_network
from senet.search.space import Space, read_space
from senet.search.supernet import SharedTraining
from senet.training.checkpoint import Checkpoint
from senet.training.optimizers import make_optimizer

STUDIES = Path(__file__).parents[2] / "studies"
SPACE = read_space(STUDIES / "spaces" / "search_resnet8_quick.toml")
MANY = [200, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]


@pytest.fixture(params=["greedy", "shared"])
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(STUDIES / "reports" / "search_resnet8_quick" / request.param, tmp_path / request.param))


@pytest.mark.parametrize("count", MANY)
def test_a_damaged_search_is_a_right_record_or_one_line(report: Path, count: int) -> None:
    path = report / "search.json"
    content = path.read_bytes()
    verdict = judge(
        as_file(lambda path: read_saved_search(path.parent), path), mutants(content, count=count, seed=3, tokens=TOKENS)
    )
    assert not verdict.faults, verdict


@pytest.mark.parametrize("count", MANY)
def test_a_damaged_list_of_what_was_pruned_is_a_right_record_or_one_line(count: int, tmp_path: Path) -> None:
    epoch = Epoch(epoch=1, lr=0.1, train_loss=1.0, test_loss=2.5, correct=1, correct5=2, seconds=1.0)
    run = Run(data=DataSpec(val_size=10), recipe=Recipe(epochs=2), se=(SESpec(reduction=4),))
    first = Pruned(
        run=run,
        rule=Rule(rule="median"),
        threshold=Threshold(level=50.0, others=4),
        curve=(epoch,),
        total=2,
        data="0123",
    )
    lines = [json.dumps(one.as_dict()) for one in (first, replace(first, run=replace(run, seed=1)))]
    content = "".join(f"{line}\n" for line in lines).encode()
    (tmp_path / "pruned.jsonl").write_bytes(content)
    assert len(read_pruned_list(tmp_path / "pruned.jsonl")) == 2
    read = as_file(read_pruned_list, tmp_path / "pruned.jsonl")
    verdict = judge(read, mutants(content, count=count, seed=3, tokens=TOKENS))
    assert not verdict.faults, verdict


def without(place: str) -> Callable[[dict[str, Any]], object]:
    return lambda said: said.pop(place)


def spoiled(place: str, value: object, group: str = "trials") -> Callable[[dict[str, Any]], object]:
    return lambda said: said[group][0].update({place: value})


@pytest.mark.parametrize("report", ["greedy"], indirect=True)
@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (without("strategy"), "strategy is missing"),
        (without("trials"), "trials is missing"),
        (lambda said: said.update(trials={}), "trials = {} is not a list"),
        (spoiled("params", "many"), r"trials\[0\].params = 'many' does not fit"),
        (spoiled("params", -4), r"trials\[0\].params = -4 is not a number from 1"),
        (spoiled("test", {"0": 170.5}), r"trials\[0\].test\[0\] = 170.5 is not a number from 0 to 100"),
        (lambda said: said.update(shared={"scores": {"plain": 3}}), r"shared.scores.plain = 3 does not fit"),
    ],
)
def test_what_is_wrong_in_a_search_is_named_with_its_place(
    report: Path, damage: Callable[[dict[str, Any]], object], line: str
) -> None:
    said = json.loads((report / "search.json").read_text())
    damage(said)
    (report / "search.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match=rf"search.json: {line}"):
        read_saved_search(report)


@pytest.mark.parametrize("report", ["greedy"], indirect=True)
def test_a_design_that_a_search_does_not_list_is_named(report: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs", lists=[report / "results.jsonl"])
    assert reread(SPACE, "greedy", store, report).outcome.trials
    said = json.loads((report / "search.json").read_text())
    names = [one["design"] for one in said["trials"]]
    said["trials"] = said["trials"][:1]
    (report / "search.json").write_text(json.dumps(said))
    smaller = replace(SPACE, budget=replace(SPACE.budget, params=10**9))  # each design is counted before it is trained
    with pytest.raises(UsageError, match=f"search.json does not list {names[1]}"):
        reread(smaller, "greedy", store, report)
    said["trials"], said["refused"] = said["trials"][:1], dict.fromkeys(names[1:], 2 * 10**9)
    (report / "search.json").write_text(json.dumps(said))
    assert read_saved_search(report).listed(names[1]).params == 2 * 10**9


@pytest.fixture(scope="module")
def trained() -> tuple[Space, Data, Checkpoint]:
    digits = DataSpec(train_size=60, val_size=60, test_size=60)
    space = replace(SPACE, base=replace(SPACE.base, data=digits))
    data = load(digits)
    network = shared_network(space, data).model
    optimizer = make_optimizer(network, space.base.recipe.optim)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state = {"epoch": 1, "seconds": 2.5, "data": data.fingerprint, "optimizer": optimizer.state_dict()}
    return space, data, Checkpoint(step=1, weights=network.state_dict(), state=state, path=Path("step-00000001.pt"))


def restored(space: Space, data: Data, found: Checkpoint) -> tuple[int, float]:
    return SharedTraining(space, data, shared_network(space, data), 2).restore(found)


def test_a_shared_network_goes_on_from_its_checkpoint(trained: tuple[Space, Data, Checkpoint]) -> None:
    assert restored(*trained) == (1, 2.5)


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        ("epoch", 7, "epoch 7 after 2.5 s is not step 1 of 2"),
        ("epoch", "one", "epoch one after"),
        ("epoch", {}, "epoch {} after"),
        ("seconds", float("nan"), "after nan s"),
        ("seconds", [1], "must be a string or a real number"),
        ("seconds", -1, "after -1.0 s"),
        ("data", None, "is of other images: None"),
        ("optimizer", None, "not subscriptable"),
        ("optimizer", {"state": {0: {}}}, "the optimiser keeps momentum_buffer, not"),
        ("optimizer", {"state": {10**9: {"momentum_buffer": torch.ones(2)}}}, "out of range"),
        ("optimizer", {"state": {0: {"momentum_buffer": torch.ones(2)}}}, "momentum_buffer of parameter 0 is not"),
    ],
)
def test_a_state_that_no_shared_network_has_left_is_refused(
    trained: tuple[Space, Data, Checkpoint], place: str, value: object, line: str
) -> None:
    space, data, found = trained
    for state in ({**found.state, place: value}, {key: one for key, one in found.state.items() if key != place}):
        said = line if place in state else f"it lacks '{place}'"
        with pytest.raises(CheckpointError, match=rf"step-00000001.pt does not fit .*{said}.*; remove the folder"):
            restored(space, data, replace(found, state=state))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda value: torch.ones(3), "size mismatch for {name}"),
        (lambda value: value * float("nan"), "{name} holds values that are not finite"),
        (lambda value: value.bool(), "{name} holds bool where float32 is expected"),
        (None, "Missing key.*{name}"),
    ],
)
def test_weights_that_no_shared_network_has_left_are_refused(
    trained: tuple[Space, Data, Checkpoint], spoil: Callable[[torch.Tensor], torch.Tensor] | None, line: str
) -> None:
    space, data, found = trained
    name = next(iter(found.weights))
    weights = {key: value for key, value in found.weights.items() if key != name}
    if spoil is not None:
        weights[name] = spoil(found.weights[name])
    with pytest.raises(CheckpointError, match=line.format(name=name)):
        restored(space, data, replace(found, weights=weights))
