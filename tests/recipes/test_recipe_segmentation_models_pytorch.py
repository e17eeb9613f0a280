"""docs/recipes/segmentation_models_pytorch.md runs as it is written, and its U-Net learns."""

from pathlib import Path

import pytest

import senet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_recipe_of_a_unet_runs(page) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("segmentation_models_pytorch", reason="needs pip install 'senet[recipes]'")
    names = page("docs/recipes/segmentation_models_pytorch.md")
    folded = names["folded"]
    assert len(names["blocks"]) == 13
    assert len(senet.find(names["again"])) == 13
    assert len(senet.find(names["model"])) == 13 - len(folded.removed)
    assert not folded.scaled
    assert abs(names["iou"]() - names["before"]) < 0.05
    assert names["before"] > 0.4
    assert names["report"].error < 1e-4
    assert Path("unet.onnx").exists()


def test_blocks_of_other_encoders_are_left_and_decoders_of_transformers_take_blocks() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch", reason="needs pip install 'senet[recipes]'")
    at = ["encoder.*", "decoder.blocks.*"]
    for encoder in ("se_resnet50", "efficientnet-b0"):
        model = smp.Unet(encoder, encoder_weights=None, classes=2)
        names = senet.plan(model, "standard:reduction=8", at=at, shape=(1, 3, 64, 64)).names
        assert names == tuple(f"decoder.blocks.{i}.se" for i in range(5))
    model = smp.Unet("mit_b0", encoder_weights=None, classes=2)
    assert len(senet.plan(model, "standard:reduction=8", at="decoder.blocks.*", shape=(1, 3, 64, 64))) == 4
    model = smp.Unet("resnet18", encoder_weights=None, classes=2, decoder_attention_type="scse")
    assert len(senet.find(model)) == 10
