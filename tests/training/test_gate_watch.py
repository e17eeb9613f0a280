"""Watching the gates of a training: shares in the curve, a warning of a collapse, and the same bits as without."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from forks import DATA, RUN
from safetensors.torch import load_file

from senet import SESpec
from senet.experiments.result import Epoch
from senet.experiments.setup import Setup
from senet.networks.zoo_model import create_model
from senet.training.gate_watch import GateWarning, gate_shares, warn_of_collapse
from senet.training.run_folder import read_result
from senet.training.train import train

SHARES = {"open", "shut", "half", "stuck"}


def test_watched_gates_are_in_the_curve_and_the_weights_have_the_same_bits(tmp_path: Path) -> None:
    run = replace(RUN, se=(SESpec(reduction=4),), recipe=replace(RUN.recipe, epochs=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GateWarning)
        watched = train(run, DATA, tmp_path / "watched", Setup(watch_gates=True))
    plain = train(run, DATA, tmp_path / "plain")
    (epoch,) = watched.curve
    assert [set(shares) for shares in epoch.gates.values()] == [SHARES] * 3
    assert all(0 <= share <= 1 for shares in epoch.gates.values() for share in shares.values())
    assert plain.curve[0].gates == {}
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("watched", "plain"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert json.loads((tmp_path / "watched" / "metrics.jsonl").read_text())["gates"] == epoch.gates
    assert "gates" not in json.loads((tmp_path / "plain" / "metrics.jsonl").read_text())
    assert "gates" not in (tmp_path / "plain" / "result.json").read_text()
    assert read_result(tmp_path / "watched") == watched


def test_dead_hidden_units_show_as_gates_in_the_middle_that_are_stuck() -> None:
    model = create_model("resnet8", se=SESpec(reduction=4), num_classes=10, in_chans=1)
    torch.nn.init.constant_(model.stage2.unit1.se.fc1.bias, -50.0)
    torch.nn.init.zeros_(model.stage2.unit1.se.fc2.bias)
    shares = gate_shares(model, DATA.test, device="cpu")
    assert shares["stage2.unit1.se"] == {"open": 0.0, "shut": 0.0, "half": 1.0, "stuck": 1.0}
    with pytest.warns(GateWarning, match=r"100 % of the channels of stage2.unit1.se are stuck in the middle"):
        warn_of_collapse({}, {"stage2.unit1.se": shares["stage2.unit1.se"]}, run=RUN, epoch=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_collapse(shares, shares, run=RUN, epoch=3)  # it was told once


def test_shares_out_of_range_are_refused() -> None:
    line = {"epoch": 1, "lr": 0.1, "train_loss": 1.0, "test_loss": 1.0, "correct": 1, "correct5": 2, "seconds": 1.0}
    with pytest.raises(ValueError, match=r"gates\['se'\].open = 1.5 is not a number from 0 to 1"):
        Epoch(**line, gates={"se": {"open": 1.5}})
