"""Names are one list: for the type checker, for errors and for completion."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from senet.fast.kernels.backends import BACKENDS
from senet.known_names import Backends, Dtypes, Harms, Origins
from senet.speed.measure import DTYPES
from senet.surgery.folding.removal import PER
from senet.weights import ORIGINS

WRONG = """
import senet
from torch import nn

senet.SESpec(gate="sigmoidd")
senet.SESpec(variant="slowboth")
senet.create_model("resnet20", origin="tim")
senet.accelerate(nn.Sequential(), backend="nativ")
senet.fold(nn.Sequential(), [], per="blocks")
senet.insert(nn.Sequential(), slot="front")
senet.bench("resnet20", mode="training")
"""
RIGHT = """
import senet
from torch import Tensor, nn

senet.SESpec(gate="unit_tanh", squeeze=("avg", "max"), variant=lambda C, h, m: (C, h, C))
senet.SESpec(gate=lambda logits: logits.sigmoid())
senet.insert(nn.Sequential(), "standard:reduction=8", slot="pre")
features: int = senet.create_model("resnet20", origin="timm").num_features
channels: list[int] = senet.create_model("resnet20", features_only=True, out_indices=(1, 2)).feature_info.channels()
"""


def test_the_types_list_the_names_of_the_tables() -> None:
    assert sorted(get_args(Origins)) == sorted(ORIGINS)
    assert get_args(Harms) == tuple(PER)
    assert get_args(Dtypes) == tuple(DTYPES)
    assert get_args(Backends) == ("auto", *BACKENDS)


@pytest.mark.slow
def test_a_wrong_name_fails_the_type_check_and_functions_pass(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "wrong.py").write_text(WRONG)
    (tmp_path / "right.py").write_text(RIGHT)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    command += [str(tmp_path / "wrong.py"), str(tmp_path / "right.py")]
    said = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False).stdout
    errors = [
        line for line in said.splitlines() if "error:" in line and "/src/" not in line and "src/senet" not in line
    ]
    assert [int(line.split(":")[1]) for line in errors] == list(range(5, 12)), said
    assert all("wrong.py" in line for line in errors)
