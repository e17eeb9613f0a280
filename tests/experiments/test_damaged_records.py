"""Damaged copies of what a run is read from: a right record or one line, whatever the bytes are."""

import hashlib
import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.mutations import TOKENS, as_file, judge, mutants

from senet import settings
from senet.experiments import decoding
from senet.experiments.run import Run
from senet.experiments.study import read_study
from senet.search.space import read_space
from senet.training.checkpoint import Checkpoints
from senet.training.packing import pack, unpack
from senet.training.run_folder import read_run

STUDY = b"""
title = "Ratio"
seeds = [0, 1]
[base]
model = "resnet20"
data = "cifar10"
recipe = { preset = "sgd-cosine", epochs = 3, optim = { lr = 0.05, betas = [0.9, 0.99] } }
[axes]
se = [[], [{ reduction = 4 }], [{ reduction = [8, 4, [2, 2, 2]], stages = [1, 2] }]]
"recipe.schedule" = [{ name = "steps", steps = [[1, 0.1], [2, 0.01]] }]
[quick]
run = { recipe = { epochs = 1 } }
"""
SPACE = b"""
title = "Small"
seeds = [0]
confirm_seeds = [7, 8]
stop_early = "median"
[choices]
stages = 3
reduction = [16, 8, 4]
[budget]
trials = 8
minutes = 5.5
[shared]
epochs = 2
[base]
model = "resnet20"
data = { name = "cifar10", val_size = 100 }
recipe = "sgd-cosine"
"""


def trained(path: Path) -> object:
    """Read a study as `senet train` does."""
    return decoding.run(decoding.tables(settings.toml_file(path).get("base", {}), place=str(path)))


READERS: dict[str, tuple[Callable[[Path], Any], str, bytes]] = {
    "run": (read_run, "run.json", json.dumps(Run(seed=3).as_dict(), indent=2).encode()),
    "study": (read_study, "study.toml", STUDY),
    "quick study": (lambda path: read_study(path, quick=True), "study.toml", STUDY),
    "base of a study": (trained, "study.toml", STUDY),
    "space": (read_space, "space.toml", SPACE),
}
COUNTS = [200, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("what", READERS)
def test_a_damaged_text_is_a_right_record_or_one_line(what: str, count: int, tmp_path: Path) -> None:
    read, name, content = READERS[what]
    (tmp_path / name).write_bytes(content)
    read(tmp_path / name)
    verdict = judge(as_file(read, tmp_path / name), mutants(content, count=count, seed=1, tokens=TOKENS))
    assert not verdict.faults, verdict


def checkpoint() -> bytes:
    state = {"run": "0123", "moment": {"epoch": 1, "curve": [{"lr": 0.1}]}, "averaged": {"a": torch.ones(3, 4)}}
    return bytes(pack({"format": 2, "step": 1, "torch": "2.15", "weights": {"a": torch.zeros(50)}, "state": state}))


def latest(path: Path) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Checkpoints(path.parent).latest()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_damaged_checkpoint_is_whole_or_one_line(sealed: bool, count: int, tmp_path: Path) -> None:
    good = checkpoint()
    mutated = mutants(good[:-66] if sealed else good, count=count, seed=2)
    forged = (body + struct.pack("<H", 64) + hashlib.sha256(body).hexdigest().encode() for body in mutated)
    verdict = judge(as_file(latest, tmp_path / "step-00000001.pt"), forged if sealed else mutated)
    assert not verdict.faults, verdict


def doubled(times: int) -> bytes:
    """Write a tuple of two of a tuple of two ... in opcodes."""
    return b")" + b"".join(
        b"r%bj%b\x86" % ((number,) * 2) for number in (struct.pack("<I", 5000 + i) for i in range(times))
    )


@pytest.mark.parametrize("where", ["a key of weights", "a key of the state", "a value"])
def test_tuples_that_double_thirty_times_are_refused_before_they_are_hashed(where: str, tmp_path: Path) -> None:
    nested: tuple[Any, ...] = ()
    for _ in range(30):
        nested = (nested, nested)
    weights: dict[Any, Any] = {"a": torch.zeros(5)}
    state: dict[Any, Any] = {"b": 1}
    content = {"format": 2, "step": 1, "torch": "2.15", "weights": weights, "state": state}
    buffer = io.BytesIO()
    if where == "a value":
        state["c"] = nested
        torch.save(content, buffer)
    else:  # a dict would hash the key here, so it is put in later
        (weights if "weights" in where else state)["KEY"] = 1
        torch.save(content, buffer)
        with zipfile.ZipFile(io.BytesIO(buffer.getvalue())) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as forged:
            for name, body in entries.items():
                forged.writestr(
                    name, body.replace(b"X\x03\0\0\0KEY", doubled(30)) if name.endswith("data.pkl") else body
                )
    body = buffer.getvalue()[:-2]
    path = tmp_path / "step-00000001.pt"
    path.write_bytes(body + struct.pack("<H", 64) + hashlib.sha256(body).hexdigest().encode())
    verdict = judge(lambda _: latest(path), [b""], seconds=2.0)
    assert verdict.outcomes == {"CheckpointError": 1}, verdict


@pytest.mark.slow
def test_a_tuple_of_many_numbers_comes_back() -> None:
    content = {"many": tuple(range(30_000)), "long": [{"epoch": number, "lr": 0.1} for number in range(30_000)]}
    assert unpack(bytes(pack(content))) == content
