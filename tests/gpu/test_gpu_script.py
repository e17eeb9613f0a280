"""`gpu/run.sh` must not fail on the one day a GPU is there: here it runs, tiny, on the CPU."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[2]


@pytest.fixture
def check(unchecked: None, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "gpu" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["check.py", "--device", "cpu", "--model", "resnet8", "--shape", "2,3,32,32"])
    return module


def test_right_numbers_pass(check: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    check.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 24  # 2 types x 2 formats x (4 parts of a step + 2 batch sizes)
    assert all(line.endswith("ok") for line in lines)


def scaled_gate(accelerate: Callable[[nn.Module], object]) -> Callable[[nn.Module], object]:
    def wrong(model: nn.Module) -> object:
        found = accelerate(model)
        with torch.no_grad():
            next(p for name, p in model.named_parameters() if "fc2.bias" in name).add_(0.5)
        return found

    return wrong


def dropped_statistics(accelerate: Callable[[nn.Module], object]) -> Callable[[nn.Module], object]:
    def wrong(model: nn.Module) -> object:
        found = accelerate(model)
        for module in model.modules():
            if hasattr(module, "momentum"):
                module.momentum = 0.0
        return found

    return wrong


def detached_block(accelerate: Callable[[nn.Module], object]) -> Callable[[nn.Module], object]:
    def wrong(model: nn.Module) -> object:
        found = accelerate(model)
        next(p for name, p in model.named_parameters() if "se.fc1.weight" in name).register_hook(torch.zeros_like)
        return found

    return wrong


@pytest.mark.parametrize(
    ("mistake", "seen"),
    [(scaled_gate, "logits"), (dropped_statistics, "statistics"), (detached_block, "gradients")],
)
def test_the_first_wrong_number_ends_the_check(
    check: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mistake: Callable[..., Callable[[nn.Module], object]],
    seen: str,
) -> None:
    monkeypatch.setattr(check, "accelerate", mistake(check.accelerate))
    with pytest.raises(SystemExit) as ended:
        check.main()
    assert ended.value.code == 6
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith("WRONG")
    assert seen in last


@pytest.mark.parametrize("words", [["3", "out"], ["1"], ["2", "out", "missing"], []])
def test_wrong_words_end_in_a_sentence_before_anything_runs(words: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [str(ROOT / "gpu" / "run.sh"), *(str(tmp_path / w) if w == "out" else w for w in words)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout.startswith("gpu/run.sh")
    assert done.stdout.count("\n") == 1


@pytest.mark.slow
def test_the_whole_script_runs_without_a_gpu(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(ROOT / "gpu" / "run.sh"), "dry", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("ok\n") == 24
    assert json.loads((tmp_path / "facts.json").read_text())["torch"] == torch.__version__.partition("+")[0]
    for name in ("train-bfloat16", "infer-2"):
        lines = json.loads((tmp_path / name / "bench.json").read_text())["lines"]
        assert {line["name"] for line in lines} >= {"plain", "timm seresnet18"}
    for study in ("resnet20_cifar10", "resnet56_cifar10"):
        assert len((tmp_path / f"{study}.jsonl").read_text().splitlines()) == 3
