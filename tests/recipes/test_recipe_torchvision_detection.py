"""docs/recipes/torchvision_detection.md runs as it is written, and its detector learns."""

import pytest
import torch

import senet
from senet.errors import SpecError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_recipe_of_a_detector_runs(page) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torchvision")
    names = page("docs/recipes/torchvision_detection.md")
    folded, losses = names["folded"], names["losses"]
    assert sum(losses[-3:]) / 3 < 0.6 * losses[0]
    assert not folded.scaled
    assert len(folded.removed) == 8 - len(senet.find(names["model"].backbone))
    assert names["report"].error < 1e-4
    model = names["model"].eval()
    if not senet.find(model):
        senet.insert(model, "standard:reduction=8", shape=(1, 3, 96, 96))
    with pytest.raises(SpecError, match=r"FasterRCNN returns a list of dict for 8 images.*as a detector's backbone"):
        senet.fold(model, names["images"])


@pytest.mark.parametrize("name", ["fcos_resnet50_fpn", "retinanet_resnet50_fpn"])
def test_the_backbones_and_pyramids_of_other_detectors_take_blocks(name: str) -> None:
    detection = pytest.importorskip("torchvision.models.detection")
    build = getattr(detection, name)
    with torch.device("meta"):
        model = build(weights=None, weights_backbone=None, num_classes=3, min_size=96, max_size=96)
    model = model.to_empty(device="cpu").eval()
    assert len(senet.plan(model, "standard:reduction=8", shape=(1, 3, 96, 96))) == 16
    at = ["backbone.body.*", "backbone.fpn.layer_blocks.*"]
    planned = senet.plan(model, "standard:reduction=8", at=at, shape=(1, 3, 96, 96)).names
    assert planned[16:] == tuple(f"backbone.fpn.layer_blocks.{i}.0.se" for i in (2, 1, 0))
