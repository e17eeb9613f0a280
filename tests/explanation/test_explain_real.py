"""Trained networks on real images: the KTH network on CIFAR-10, MobileNetV3-Small on 500 photographs."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def told(call, tmp_path: Path, *words: str) -> dict:
    code, out, err = call("explain", *words, "-o", "out", "--device", "cpu")
    assert code == 0, err
    assert "written: out/explain.json" in out
    return json.loads((tmp_path / "out" / "explain.json").read_text())


@pytest.fixture
def data(shared: Path) -> Path:
    pytest.importorskip("pyarrow")
    if not (shared / "data" / "weights").is_dir():
        pytest.skip("data and weights are not in the folder shared with the repository")
    return shared / "data"


@pytest.mark.timeout(3600)
def test_the_class_share_of_the_kth_network_rises_with_depth(call, tmp_path: Path, data: Path) -> None:
    weights = data / "weights" / "se_resnet50_cifar10_r8-8-8.safetensors"
    words = ["kth_resnet52", "--se", "standard:reduction=8", "--weights", str(weights), "--origin", "kth"]
    words += ["--data-dir", str(data / "cifar10"), "data.normalize=kth", "images=50"]
    found = told(call, tmp_path, *words)
    assert found["data"]["images"] == 10_000
    assert found["data"]["images_per_class"] == [1000] * 10
    assert found["data"]["top1"] == pytest.approx(91.17)
    blocks = {block["name"]: block["statistics"] for block in found["blocks"]}
    assert len(blocks) == 25
    assert blocks["stem.se"]["class_share"] == pytest.approx(0.120, abs=0.002)
    assert blocks["stage3.unit6.se"]["class_share"] == pytest.approx(0.673, abs=0.002)
    assert blocks["stage3.unit8.se"]["shut"] == pytest.approx(0.64, abs=0.01)
    assert all(block["class_share_p"] == pytest.approx(1 / 201) for block in blocks.values())
    assert all(block["used_rank"] <= 1.05 * block["rank_limit"] for block in blocks.values())


@pytest.mark.timeout(1800)
def test_mobilenet_has_an_idle_block_and_a_constant_one(call, tmp_path: Path, data: Path) -> None:
    pytest.importorskip("timm")
    weights = data / "weights" / "mobilenetv3_small_100_imagenet_timm_fp32.safetensors"
    words = ["timm:tf_mobilenetv3_small_100", "--weights", str(weights), "--normalize", "half", "images=50"]
    found = told(call, tmp_path, *words, "--data-dir", str(data / "imagenet_val_500"))
    assert found["data"]["images_per_class"] == [50] * 10
    assert found["data"]["top1"] == pytest.approx(66.6)
    codes = {block["name"]: {one["code"] for one in block["diagnosis"]} for block in found["blocks"]}
    assert "identity" in codes["blocks.0.0.se"]
    assert "constant" in codes["blocks.3.0.se"]
    last = found["blocks"][-1]
    assert last["name"] == "blocks.4.2.se"
    assert last["statistics"]["class_share"] == pytest.approx(0.478, abs=0.003)
    assert last["statistics"]["class_share_interval"][0] > 0.4
