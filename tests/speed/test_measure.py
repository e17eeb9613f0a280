"""A benchmark says what it measured: bytes that can be counted by hand, ratios to the first variant, clear refusals."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from senet import SESpec, bench
from senet.errors import SpecError, UsageError
from senet.fast.kernels.compiled import compiler
from senet.reports.bench_report import save
from senet.speed.traffic import bandwidth, moved_bytes, peak_bytes, saved_bytes
from senet.speed.variants import variants

SMALL = {"shape": (2, 3, 32, 32), "rounds": 2}


def test_saved_bytes_are_those_of_the_maps_that_autograd_keeps() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.ReLU(), nn.Conv2d(8, 4, 1, bias=False))
    x = torch.randn(2, 3, 5, 5)
    maps = x.numel() + 2 * 8 * 25  # inputs of both convolutions; the second is what the ReLU keeps, too
    assert saved_bytes(model, x) == 4 * maps


def test_moved_bytes_are_inputs_outputs_and_weights_of_linear_maps() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU()).eval()
    x = torch.randn(2, 3, 5, 5)
    forward = 4 * (x.numel() + 2 * 8 * 25 + 3 * 8 + 8)
    assert moved_bytes(model, x, train=False) == forward
    assert moved_bytes(model, x, train=True) == 3 * forward


def test_a_copy_has_a_speed_and_a_cpu_no_peak() -> None:
    assert 1e8 < bandwidth("cpu", size=2**22, rounds=2) < 1e13
    assert peak_bytes(lambda: None, "cpu") is None


@pytest.mark.usefixtures("unchecked")  # a tracer's proxies are no tensors
@pytest.mark.parametrize("mode", ["train", "infer"])
def test_every_default_variant_is_measured_against_the_first(mode: str, tmp_path: Path) -> None:
    found = bench("resnet8", mode=mode, blocks=True, **SMALL)  # type: ignore[arg-type]
    names = [line.name for line in found.lines]
    fast = "accelerated" if mode == "train" else "optimized"
    assert names == ["plain", f"plain {fast}", "se", f"se {fast}"]
    assert found.lines[0].ratio == found.lines[0].low == found.lines[0].high == 1
    assert all(line.milliseconds > 0 and line.images_per_second > 0 and line.bound > 0 for line in found.lines)
    assert all((line.saved_mb is not None) == (mode == "train") for line in found.lines)
    assert [block.name for block in found.blocks] == [f"stage{stage}.unit1" for stage in (1, 2, 3)]
    assert found.blocks[1].shape == (2, 16, 32, 32)
    written = save(found, tmp_path, command="senet bench resnet8")
    assert {"bench.md", "bench.json"} <= {path.name for path in written}
    assert json.loads((tmp_path / "bench.json").read_text())["lines"][2]["name"] == "se"
    text = (tmp_path / "bench.md").read_text()
    assert "`senet bench resnet8`" in text
    assert f"| se {fast} |" in text


@pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler")
def test_acceleration_keeps_no_more_than_the_plain_network() -> None:
    found = bench("resnet8", se=SESpec(), shape=(16, 3, 32, 32), rounds=1)
    saved = {line.name: line.saved_mb for line in found.lines}
    assert saved["se accelerated"] is not None
    assert saved["plain"] is not None
    assert saved["se"] is not None
    assert saved["se accelerated"] < 1.03 * saved["plain"] < saved["se"]


def test_half_precision_is_measured_too() -> None:
    for mode in ("train", "infer"):
        assert bench("resnet8", mode=mode, dtype="bfloat16", names=("plain", "se"), **SMALL).dtype == "bfloat16"  # type: ignore[arg-type]


def test_a_network_of_timm_can_take_part() -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    found = bench("resnet8", names=("plain",), timm="test_resnet", mode="infer", **SMALL)  # type: ignore[arg-type]
    assert [line.name for line in found.lines] == ["plain", "timm test_resnet"]
    with pytest.raises(UsageError, match="timm has no model 'seresnet51'"):
        bench("resnet8", names=("plain",), timm="seresnet51", **SMALL)  # type: ignore[arg-type]


NET = """
from torch import nn

class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        return x + self.norm(self.conv(x))

def build(in_chans=1, num_classes=10):
    return nn.Sequential(nn.Conv2d(in_chans, 8, 1), Unit(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

def pair():
    return nn.LSTM(8, 8)
"""


@pytest.mark.usefixtures("unchecked")
def test_networks_of_others_are_measured_with_inserted_blocks(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    own = f"{tmp_path / 'net.py'}:build"
    found = bench(own, se=SESpec(reduction=4), shape=(2, 4, 8, 8), rounds=1)
    assert [line.name for line in found.lines] == ["plain", "plain accelerated", "se", "se accelerated"]
    assert repr(found).splitlines()[3].startswith(" plain ")
    assert "medians of 1 interleaved rounds" in " ".join(repr(found).split())
    networks = variants(own, SESpec(reduction=4), ("plain", "se"), train=True, shape=(2, 4, 8, 8))
    plain, se = (sum(p.numel() for p in network.parameters()) for network in networks.values())
    assert se - plain == 2 * (2 * 8 * 2 + 2 + 8)  # the two places that `senet.insert` finds, 8-2-8
    assert networks["se"][0].in_channels == 4  # type: ignore[index]
    with pytest.raises(SpecError, match="blocks = True times units of networks of the zoo"):
        bench(own, blocks=True, shape=(2, 4, 8, 8), rounds=1)
    with pytest.raises(SpecError, match="does not accept it"):
        bench(own.replace("build", "pair"), names=("plain",), shape=(2, 3, 8, 8), rounds=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"mode": "trian"}, "mode = 'trian' is not known.*Did you mean 'train'"),
        ({"dtype": "float8"}, "dtype = 'float8' is not known"),
        ({"names": ("plane",)}, "variant = 'plane' is not known.*'plain'"),
        ({"names": ("plain", "se optimized")}, "'se optimized' is for inference"),
        ({"rounds": 0}, "rounds = 0"),
        ({"se": ()}, "no blocks to time"),
        ({"shape": (2, 5, 32, 32)}, r"shape = \(2, 5, 32, 32\): resnet8 does not accept it"),
    ],
)
def test_mistakes_are_told(words: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        bench("resnet8", **{**SMALL, **words})  # type: ignore[arg-type]
