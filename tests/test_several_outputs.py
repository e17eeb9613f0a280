"""Networks that return several outputs: what is read is said, and what is exported."""

from pathlib import Path

import pytest
import torch
from torch import nn

import senet
from senet.calls import CallError
from senet.errors import SpecError
from senet.nn import SqueezeExcite
from senet.nn.layers import BATCH_NORMS
from senet.spec import SESpec
from senet.training.frozen import freeze


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.se = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), SqueezeExcite(8, reduction=2)
        self.a, self.b = nn.Linear(8, 5), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.se(self.norm(self.conv(x)).relu()).mean((2, 3))
        return {"species": self.a(y), "colour": self.b(y)}


def test_fold_explain_and_export_say_which_output_they_read(tmp_path: Path) -> None:
    model = TwoHeads().eval()
    batches = [(torch.randn(20, 3, 8, 8), torch.arange(20) % 5)]
    said = "one output was looked at: 'species' of the network, without colour"
    assert said in senet.explain(model, batches).notes
    assert said in senet.fold(model, batches, dry_run=True).notes
    pytest.importorskip("onnxruntime")
    exported = senet.export(model, tmp_path / "net.onnx", shape=(1, 3, 8, 8))
    assert "the file has one output: 'species' of the network, without colour" in exported.notes


def test_sizes_that_are_not_known_have_no_name_in_an_exported_file(tmp_path: Path) -> None:
    """Dimensions of one name are taken to be equal."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.ReLU(), nn.Conv2d(8, 2, 1)).eval()
    senet.export(model, tmp_path / "net.onnx", shape=(1, 3, 32, 32), dynamic_size=True)
    values = onnx.load(tmp_path / "net.onnx").graph.value_info
    assert "None" not in {dim.dim_param for value in values for dim in value.type.tensor_type.shape.dim}


def test_an_optimizer_of_another_network_is_refused() -> None:
    old, new = senet.create_model("resnet8"), senet.create_model("resnet8")
    with pytest.raises(SpecError, match="optimizer holds no weight before"):
        senet.insert(new, shape=(1, 3, 32, 32), optimizer=torch.optim.SGD(old.parameters(), lr=0.1))


def test_a_frozen_host_leaves_the_norm_of_a_block_training() -> None:
    model = senet.create_model("resnet8")
    blocks = senet.insert(model, SESpec.kind("srm"), shape=(1, 3, 32, 32))
    model.train()
    names = [name for name, _ in model.named_parameters() if any(name.startswith(f"{one}.") for one in blocks.names)]
    freeze(model, names)
    norms = {name: one.training for name, one in model.named_modules() if isinstance(one, BATCH_NORMS)}
    inside = {name for name in norms if any(name.startswith(f"{one}.") for one in blocks.names)}
    assert inside
    assert all(norms[name] == (name in inside) for name in norms)


def test_compare_leaves_the_random_numbers_of_the_caller_and_names_what_it_does_not_know() -> None:
    def train(design: object, seed: int) -> float:
        torch.manual_seed(seed)
        return 90 + seed + torch.rand(1).item()

    torch.manual_seed(5)
    state = torch.get_rng_state()
    senet.compare(train, ["eca"], seeds=3)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(CallError, match="compare: the argument = 'seed' is not known"):
        senet.compare(train, ["eca"], seed=3)
    with pytest.raises(CallError, match="compare: the argument = 'recipe' is not known"):
        senet.compare(train, ["eca"], seeds=3, recipe={"epochs": 1})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_network_comes_back_in_the_precision_of_its_weights(dtype: torch.dtype, tmp_path: Path) -> None:
    model = senet.create_model("resnet8").to(dtype).eval()
    senet.save_pretrained(model, tmp_path / "net", name="resnet8")
    again = senet.from_pretrained(tmp_path / "net")
    x = torch.randn(1, 3, 32, 32, dtype=dtype)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
