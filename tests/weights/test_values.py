"""Weights that are not numbers are refused by name, by everything that reads weights, and nothing is loaded."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import senet
from senet.errors import CheckpointError
from senet.experiments.recipe import Recipe
from senet.networks import create
from senet.training.learner import Learner
from senet.weights.numbers import check_values

State = dict[str, Tensor]
FC, VAR, COUNT = "fc.weight", "stem.norm.running_var", "stem.norm.num_batches_tracked"

FAULTS: dict[str, tuple[str, Callable[[Tensor], Tensor], str]] = {
    "all NaN": (FC, lambda x: x * torch.nan, r"not finite, 640 of 640"),
    "one infinity": (FC, lambda x: x.index_fill(0, torch.tensor([3]), torch.inf), "not finite, 64 of 640"),
    "NaN in half": (FC, lambda x: (x * torch.nan).half(), "not finite"),
    "float64 beyond float32": (FC, lambda x: x.double() * 1e300, "too large for float32"),
    "negative variance": (VAR, lambda x: -x, "is negative: -1"),
    "negative counter": (COUNT, lambda x: x - 1, "is negative: -1"),
    "int8 weights": (FC, lambda x: x.to(torch.int8), "holds int8 where float32"),
    "bool weights": (FC, lambda x: x > 0, "holds bool where float32"),
    "complex weights": (FC, lambda x: x.to(torch.complex64), "holds complex64 where float32"),
    "float counter": (COUNT, lambda x: x.float(), "holds float32 where int64"),
    "bool counter": (COUNT, lambda x: x.bool(), "holds bool where int64"),
    "unsigned counter beyond int64": (COUNT, lambda x: torch.tensor(2**63, dtype=torch.uint64), "is negative"),
}


def damaged(fault: str) -> tuple[State, str, str]:
    name, change, said = FAULTS[fault]
    state = senet.create_model("resnet8").state_dict()
    return {**state, name: change(state[name])}, name, said


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_a_number_is_named_and_nothing_is_loaded(fault: str) -> None:
    state, name, said = damaged(fault)
    model = senet.create_model("resnet8")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=f"{name} .*{said}"):
        senet.load_weights(model, state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("fault", ["all NaN", "negative variance", "int8 weights"])
def test_every_reader_refuses(tmp_path: Path, fault: str) -> None:
    state, name, said = damaged(fault)
    folder = senet.save_pretrained(senet.create_model("resnet8"), tmp_path / "net", name="resnet8")
    for file in (folder / "model.safetensors", tmp_path / "a.safetensors"):
        save_file(state, file)
    torch.save({"model": state}, tmp_path / "a.pt")
    model = senet.create_model("resnet8")
    learner = Learner(model, Recipe(), fused=False)
    for read in (
        lambda: senet.from_pretrained(folder),
        lambda: senet.create_model("resnet8", weights=tmp_path / "a.pt"),
        lambda: senet.create_model("resnet8", weights=folder),
        lambda: create("resnet8", weights=tmp_path / "a.safetensors"),
        lambda: learner.restore(state, {}),
    ):
        with pytest.raises(CheckpointError, match=f"{name} .*{said}"):
            read()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_widths_of_floating_point_numbers_load(dtype: torch.dtype) -> None:
    source, target = senet.create_model("resnet8"), senet.create_model("resnet8")
    state = {
        key: value.to(dtype) if value.is_floating_point() else value.int() for key, value in source.state_dict().items()
    }
    senet.load_weights(target, state)
    assert torch.equal(target.fc.weight, state[FC].float())


def test_a_mask_may_hold_the_infinities_of_the_network() -> None:
    mask = torch.tensor([0.0, -torch.inf])
    check_values({"mask": mask}, {"mask": mask.clone()})
    with pytest.raises(CheckpointError, match="mask holds values that are not finite, 1 of 2"):
        check_values({"mask": -mask}, {"mask": mask})


def test_a_whole_number_that_its_place_cannot_hold_is_refused() -> None:
    with pytest.raises(CheckpointError, match="index holds values too large for int32"):
        check_values({"index": torch.tensor([2**40])}, {"index": torch.zeros(1, dtype=torch.int32)})
    check_values({"index": torch.tensor([-3])}, {"index": torch.zeros(1, dtype=torch.int32)})


@pytest.mark.parametrize("twice", ["a", "dtype", "__metadata__"])
def test_a_header_with_a_key_twice_is_refused(tmp_path: Path, twice: str) -> None:
    entry = '"dtype":"F32","shape":[1],"data_offsets":[0,4]'
    header = {
        "a": f'{{"a":{{{entry}}},"a":{{{entry}}}}}',
        "dtype": f'{{"a":{{"dtype":"I32",{entry}}}}}',
        "__metadata__": f'{{"__metadata__":{{}},"a":{{{entry}}},"__metadata__":{{}}}}',
    }[twice].encode()
    assert json.loads(header)
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(CheckpointError, match=f"its header has '{twice}' twice"):
        senet.create_model("resnet8", weights=tmp_path / "a.safetensors")
