"""A change of the code's shape changes no bit of a training: weights as senet gave them before its modules moved."""

import hashlib
import platform
from pathlib import Path

import pytest
import torch

from senet.data import load
from senet.experiments import decoding
from senet.fast.kernels.compiled import compiler
from senet.training.train import train

MACHINE = "torch 2.15.0+cu132 AVX512 x86_64"
"""Where the hashes were made, at commit 2438f84 and again after the move (AMD EPYC, one thread, C++)."""
HERE = f"torch {torch.__version__} {torch.backends.cpu.get_cpu_capability()} {platform.machine()}"
VENDOR = "AuthenticAMD"
CPU = Path("/proc/cpuinfo")

DIGITS = {"preset": "digits", "epochs": 2}
TABLE1 = {"preset": "variations-table1", "epochs": 1}
RUNS = {
    "resnet8": ({"model": "resnet8", "recipe": DIGITS}, "b2bf7a0602a0c837"),
    "se": (
        {"model": "resnet8", "se": "standard", "seed": 1, "recipe": {"preset": "digits", "epochs": 2}},
        "5750549f1c227a2d",
    ),
    "bump": (
        {"model": "cnn3", "se": "bump", "recipe": {"preset": "variations-table1", "epochs": 1}},
        "b8a60443bf45aff8",
    ),
    "inner": (
        {
            "model": "resnet20",
            "se": "slow_both:slot=inner",
            "recipe": {"preset": "digits", "epochs": 1, "ema": 0.99, "accumulate": 2, "clip": 1.0},
        },
        "a86c1cb3b3947670",
    ),
    "bf16": (
        {
            "model": "resnet20",
            "se": "standard:reduction=8-4-2",
            "data": {"name": "digits", "train_size": 200},
            "recipe": {"preset": "digits", "epochs": 1, "amp": "bf16", "optim": {"name": "adam", "lr": 0.001}},
        },
        "ead52fd196d32210",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_weights_are_those_of_before_the_move(name: str, tmp_path: Path) -> None:
    values, wanted = RUNS[name]
    if HERE != MACHINE or compiler() is None or not CPU.exists() or VENDOR not in CPU.read_text(encoding="utf-8"):
        pytest.skip(f"the hashes are of {MACHINE} on {VENDOR}, this is {HERE}")
    run = decoding.run({"data": "digits", **values})
    train(run, load(run.data), tmp_path)
    content = (tmp_path / "model.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest()[:16] == wanted
