"""What a checkpoint holds beside its bytes: a state that no training can have left is refused before it is gone on."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from forks import DATA, RUN, train_digits

from senet.errors import CheckpointError, Interrupted
from senet.training.checkpoint import Checkpoint, Checkpoints
from senet.training.train import train

AVERAGED = replace(RUN, recipe=replace(RUN.recipe, ema=0.9))


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Checkpoint]:
    folder = tmp_path_factory.mktemp("left")
    with pytest.raises(Interrupted):
        train_digits(AVERAGED, folder, stop_at=3)
    found = Checkpoints(folder / "checkpoints").latest()
    assert found is not None
    return folder, found


def momentum(state: dict[str, Any], spoil: Callable[[torch.Tensor], object]) -> None:
    entries = state["optimizer"]["state"][0]
    entries["momentum_buffer"] = spoil(entries["momentum_buffer"])


def average(state: dict[str, Any], spoil: Callable[[torch.Tensor], object]) -> None:
    name = next(iter(state["averaged"]))
    state["averaged"][name] = spoil(state["averaged"][name])


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda state: state["moment"].update(seconds=float("nan")), "does not fit its run"),
        (lambda state: state["moment"].update(seconds=1e21), r"seconds = 1e\+21 is not a number from 0 to"),
        (lambda state: state["moment"].update(train_seconds=-1.0), r"train_seconds = -1.0 is not a number from 0 to"),
        (lambda state: state["moment"].update(loss=-3.0), r"loss = -3.0 is not a number from 0 to"),
        (lambda state: state["moment"].update(step=4), "epoch 0 and step 4 are not step 3"),
        (lambda state: momentum(state, lambda old: torch.tensor(1.0)), "momentum_buffer of parameter 0 is not"),
        (lambda state: momentum(state, lambda old: old * float("inf")), "momentum_buffer of parameter 0 is not"),
        (lambda state: momentum(state, lambda old: 0.5), "does not fit its run"),
        (lambda state: average(state, lambda old: old * float("nan")), "holds values that are not finite"),
        (lambda state: average(state, lambda old: old.flatten()), "has another shape"),
        (lambda state: average(state, lambda old: None), "does not fit its run"),
        (lambda state: state["averaged"].clear(), "does not fit its run"),
        (lambda state: state["environments"].clear(), "does not fit its run"),
    ],
)
def test_a_state_that_no_training_has_left_is_refused(
    left: tuple[Path, Checkpoint], spoil: Callable[[dict[str, Any]], object], line: str, tmp_path: Path
) -> None:
    folder, found = left
    shutil.copytree(folder, tmp_path / "run")
    state = copy.deepcopy(found.state)
    spoil(state)
    Checkpoints(tmp_path / "run" / "checkpoints").save(found.step, weights=found.weights, state=state)
    with pytest.raises(CheckpointError, match=line):
        train(AVERAGED, DATA, tmp_path / "run")
