"""What only a GPU can show. `pytest -m gpu` where there is one; gpu/QUEUE.md says what has been seen."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from senet.data import DataSpec, load
from senet.errors import Interrupted
from senet.lab.recipe import RECIPES
from senet.lab.run import Run
from senet.lab.train import Progress, train
from senet.spec import SESpec

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here"),
]

DATA = DataSpec(train_size=640, test_size=200)


def run(**changes: object) -> Run:
    recipe = replace(RECIPES["digits"], epochs=3, **changes)  # type: ignore[arg-type]
    return Run(model="resnet8", se=(SESpec(reduction=4),), data=DATA, recipe=recipe)


def test_float32_on_the_gpu_learns_what_the_cpu_learns(tmp_path: Path) -> None:
    data = load(DATA)
    cpu = train(run(), data, tmp_path / "cpu")
    gpu = train(run(), data, tmp_path / "gpu", device="cuda")
    assert gpu.curve[0].train_loss == pytest.approx(cpu.curve[0].train_loss, rel=2e-2)
    assert gpu.accuracy == pytest.approx(cpu.accuracy, abs=6)


def test_bfloat16_on_the_gpu_learns_what_float32_learns(tmp_path: Path) -> None:
    data = load(DATA)
    full = train(run(), data, tmp_path / "full", device="cuda")
    half = train(run(amp="bf16"), data, tmp_path / "half", device="cuda")
    assert half.curve[0].train_loss == pytest.approx(full.curve[0].train_loss, rel=5e-2)
    assert half.accuracy == pytest.approx(full.accuracy, abs=6)


def test_a_stopped_run_goes_on_with_the_same_bits_on_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        data = load(DATA)
        straight = train(run(), data, tmp_path / "straight", device="cuda")

        def stop(progress: Progress) -> None:
            raise Interrupted("stopped by the test")

        with pytest.raises(Interrupted):
            train(run(), data, tmp_path / "resumed", device="cuda", watch=stop)
        resumed = train(run(), data, tmp_path / "resumed", device="cuda")
    finally:
        torch.use_deterministic_algorithms(False)
    assert [e.test_loss for e in resumed.curve] == [e.test_loss for e in straight.curve]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "resumed")]
    assert weights[0] == weights[1]
