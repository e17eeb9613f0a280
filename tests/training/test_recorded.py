"""A recorded step does what the step does. Here a call stands for the recorder; test_gpu.py has CUDA graphs."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from forks import DATA
from torch import Tensor, nn

from senet.errors import UsageError
from senet.experiments.recipe import Optim, Recipe
from senet.training.cuda_graph import WARM_UP, Step, refuse_unrecordable
from senet.training.learner import Learner

LRS = (0.5, 0.25, 0.125, 0.0625, 0.25, 0.5)  # exact in float32, as they lie on a device
RECIPE = Recipe(batch_size=32, optim=Optim(lr=0.5), channels_last=False)


class Recorder:
    """Records a step as a call that reads and writes the same memory every time, as a GPU does."""

    def __init__(self) -> None:
        self.places: list[tuple[int, int]] = []
        self.replays = 0

    def __call__(self, take: Step, x: Tensor, y: Tensor) -> tuple[Callable[[], None], Tensor]:
        loss = torch.zeros((), dtype=torch.float64)
        self.places.append((x.data_ptr(), y.data_ptr()))

        def replay() -> None:
            self.replays += 1
            loss.copy_(take(x, y))

        return replay, loss


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 10)
    )


def steps(learner: Learner) -> list[float]:
    losses = []
    for number, lr in enumerate(LRS):
        count = 20 if number == 4 else 32  # a batch that is not full, between two that are
        indices = torch.arange(32 * number, 32 * number + count)
        ((x, y),) = DATA.train.batches([(indices, 0)], augment=None, device="cpu")
        losses.append(learner.step(x, y, lr=lr, total=count, seed=number).item())
    return losses


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optim": Optim(name="adadelta", lr=1.0)},
        {"optim": Optim(lr=0.5, nesterov=True, weight_decay=0.125)},  # Adam on a CPU rounds a step size in memory
        {"ema": 0.5},
        {"accumulate": 2},
        {"clip": 0.25},
        {"amp": "bf16"},
    ],
    ids=["sgd", "adadelta", "nesterov", "ema", "accumulate", "clip", "bf16"],
)
def test_a_replayed_step_has_the_bits_of_the_step(change: dict[str, Any]) -> None:
    recipe, recorder = replace(RECIPE, **change), Recorder()
    plain, recorded = Learner(network(), recipe), Learner(network(), recipe, record=recorder)
    assert steps(recorded) == steps(plain)
    assert (len(recorder.places), recorder.replays) == (1, len(LRS) - WARM_UP - 1)
    for name, value in plain.weights.items():
        assert torch.equal(recorded.weights[name], value), name
    assert recorded.lr == plain.lr == LRS[-1]


def test_the_state_of_a_recorded_training_is_that_of_any_other() -> None:
    plain, recorded = Learner(network(), RECIPE), Learner(network(), RECIPE, record=Recorder())
    steps(plain)
    steps(recorded)
    assert recorded.state()["optimizer"]["param_groups"] == plain.state()["optimizer"]["param_groups"]
    again = Learner(network(), RECIPE, record=Recorder())
    again.restore(deepcopy(recorded.weights), deepcopy(recorded.state()))
    assert again.lr == LRS[-1]
    assert steps(again) == steps(plain)


def test_a_state_from_a_gpu_goes_on_here() -> None:
    recipe = replace(RECIPE, optim=Optim(name="adam", lr=0.5))
    learner = Learner(network(), recipe)
    steps(learner)
    state = deepcopy(learner.state())
    for group in state["optimizer"]["param_groups"]:
        group |= {"fused": True, "capturable": True}
    here = Learner(network(), recipe)
    here.restore(deepcopy(learner.weights), state)
    assert steps(here) == steps(learner)


@pytest.mark.parametrize(
    ("momentum", "device", "processes", "words"),
    [
        (0.1, "cpu", 1, "the device is cpu"),
        (0.1, "cuda", 2, "2 train together"),
        (None, "cuda", 1, "cannot record 2: momentum None"),
    ],
)
def test_what_cannot_be_recorded_is_refused(momentum: float | None, device: str, processes: int, words: str) -> None:
    model = network()
    model[2].momentum = momentum  # type: ignore[index, union-attr, assignment]
    with pytest.raises(UsageError, match=words):
        refuse_unrecordable(model, torch.device(device), processes=processes)


def test_a_training_on_the_cpu_refuses_to_record() -> None:
    with pytest.raises(UsageError, match="leave it out"):
        Learner(network(), RECIPE, graph=True)
