"""The recipe of docs/insert.md runs as it is written, and does what it says."""

import re
from copy import deepcopy
from pathlib import Path

import pytest
import torch

import senet

TEXT = (Path(__file__).parents[2] / "docs" / "insert.md").read_text(encoding="utf-8")
CHAPTER = TEXT.partition("## Fine-tuning")[2].partition("\n## ")[0]
PREPARE, FREEZE, TRAIN = re.findall(r"```python\n(.*?)```", CHAPTER, re.DOTALL)


@pytest.fixture
def names() -> dict[str, object]:
    """What the recipe finds: a trained network and batches."""
    model = senet.create_model("resnet8")
    random = torch.Generator().manual_seed(0)
    batches = [
        (torch.rand(8, 3, 32, 32, generator=random), torch.randint(10, (8,), generator=random)) for _ in range(3)
    ]
    for x, _ in batches:
        model.train()(x)  # statistics that are not those of the start
    return {"model": model, "batches": batches, "before": deepcopy(model.state_dict())}


def changed(names: dict[str, object]) -> set[str]:
    state = names["model"].state_dict()
    start = names["before"]
    return {key for key, value in start.items() if not torch.equal(state[key], value)}


def test_host_and_blocks_learn_at_their_own_rates(names: dict[str, object]) -> None:
    exec(PREPARE, names)  # asserts itself that step 0 is the pretrained network
    model, optimizer = names["model"], names["optimizer"]
    host, blocks = optimizer.param_groups
    assert (host["lr"], blocks["lr"]) == (0.01, 0.1)
    assert len(host["params"]) + len(blocks["params"]) == len(list(model.parameters()))
    zeros = model.get_submodule(names["blocks"].names[-1]).fc2.weight
    assert not zeros.any()
    exec(TRAIN, names)
    assert zeros.any()
    assert {name for name, _ in model.named_parameters()} & set(names["before"]) <= changed(names)
    assert 0 <= blocks["lr"] < 1e-6


def test_a_frozen_host_stays_bit_for_bit(names: dict[str, object]) -> None:
    exec(PREPARE, names)
    exec(FREEZE, names)
    exec(TRAIN, names)
    model = names["model"]
    assert model.get_submodule(names["blocks"].names[-1]).fc2.weight.any()
    assert not changed(names)
    senet.remove(model)
    assert model.state_dict().keys() == names["before"].keys()
