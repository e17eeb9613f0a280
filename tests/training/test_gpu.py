"""What only a GPU can show. `pytest -m gpu` where there is one; gpu/QUEUE.md says what has been seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from senet.data import DataSpec, load
from senet.errors import Interrupted, SenetError
from senet.experiments.recipe import RECIPES, Optim, Recipe
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.models import create_model
from senet.spec import SESpec
from senet.training.cuda_graph import WARM_UP
from senet.training.learner import Learner
from senet.training.progress import Progress
from senet.training.train import train

pytestmark = pytest.mark.gpu

DATA = DataSpec(train_size=640, test_size=200)


def run(**changes: object) -> Run:
    recipe = replace(RECIPES["digits"], epochs=3, **changes)  # type: ignore[arg-type]
    return Run(model="resnet8", se=(SESpec(reduction=4),), data=DATA, recipe=recipe)


def test_float32_on_the_gpu_learns_what_the_cpu_learns(tmp_path: Path) -> None:
    data = load(DATA)
    cpu = train(run(), data, tmp_path / "cpu")
    gpu = train(run(), data, tmp_path / "gpu", Setup(device="cuda"))
    assert gpu.curve[0].train_loss == pytest.approx(cpu.curve[0].train_loss, rel=2e-2)
    assert gpu.accuracy == pytest.approx(cpu.accuracy, abs=6)


def test_bfloat16_on_the_gpu_learns_what_float32_learns(tmp_path: Path) -> None:
    data = load(DATA)
    full = train(run(), data, tmp_path / "full", Setup(device="cuda"))
    half = train(run(amp="bf16"), data, tmp_path / "half", Setup(device="cuda"))
    assert half.curve[0].train_loss == pytest.approx(full.curve[0].train_loss, rel=5e-2)
    assert half.accuracy == pytest.approx(full.accuracy, abs=6)


OPTIMS = {
    "sgd": Optim(lr=0.05, nesterov=True, weight_decay=5e-4),
    "plain sgd": Optim(lr=0.05, momentum=0.0),
    "adam": Optim(name="adam", lr=1e-3, weight_decay=1e-4),
    "adamw": Optim(name="adamw", lr=1e-3, weight_decay=1e-2),
    "adadelta": Optim(name="adadelta", lr=1.0),
}


@pytest.mark.parametrize("optim", OPTIMS.values(), ids=OPTIMS)
@pytest.mark.parametrize("change", [{}, {"amp": "bf16", "ema": 0.9, "clip": 1.0, "accumulate": 2}], ids=["", "all"])
def test_a_recorded_step_has_the_bits_of_the_step(
    optim: Optim, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        found = []
        for graph in (False, True):
            torch.manual_seed(0)
            net = create_model("resnet8", num_classes=10, in_chans=1, se=SESpec(reduction=4))
            trained = Learner(
                nn.Sequential(net, nn.Dropout(0.2)).cuda(), Recipe(batch_size=64, optim=optim, **change), graph=graph
            )
            losses = []
            for number in range(12):
                count = 40 if number == 7 else 64  # a batch that is not full, among replayed ones
                plan = [(torch.arange(count) + 64 * (number % 8), number)]
                ((x, y),) = load(DATA).train.to("cuda").batches(plan, augment=None, device="cuda")
                lr = optim.lr / (1 + number)
                losses.append(trained.step(x, y, lr=lr, total=count, seed=number).item())
            found.append((losses, {name: value.clone() for name, value in trained.weights.items()}))
    finally:
        torch.use_deterministic_algorithms(False)
    assert found[0][0] == found[1][0]
    assert all(torch.equal(value, found[1][1][name]) for name, value in found[0][1].items())


def test_a_step_that_reads_a_value_back_is_refused_with_the_way_out() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.fc(x.flatten(1))
            return y if y.sum().item() > -1e9 else -y

    trained = Learner(Reads().cuda(), Recipe(batch_size=64), graph=True)
    ((x, y),) = load(DATA).train.to("cuda").batches([(torch.arange(64), 0)], augment=None, device="cuda")
    for number in range(WARM_UP):
        trained.step(x, y, lr=0.1, total=64, seed=number)
    with pytest.raises(SenetError, match="leave out graph=true"):
        trained.step(x, y, lr=0.1, total=64, seed=WARM_UP)


def test_a_recorded_run_that_was_stopped_goes_on_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on_with_the_same_bits(tmp_path, monkeypatch, graph=True)


def test_a_stopped_run_goes_on_with_the_same_bits_on_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on_with_the_same_bits(tmp_path, monkeypatch, graph=False)


def goes_on_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, graph: bool) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        data = load(DATA)
        straight = train(run(), data, tmp_path / "straight", Setup(device="cuda", graph=graph))

        def stop(progress: Progress) -> None:
            raise Interrupted("stopped by the test")

        with pytest.raises(Interrupted):
            train(run(), data, tmp_path / "resumed", Setup(device="cuda", graph=graph), watch=stop)
        resumed = train(run(), data, tmp_path / "resumed", Setup(device="cuda", graph=graph))
    finally:
        torch.use_deterministic_algorithms(False)
    assert [e.test_loss for e in resumed.curve] == [e.test_loss for e in straight.curve]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "resumed")]
    assert weights[0] == weights[1]
