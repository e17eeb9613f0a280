"""docs/recipes/torchvision_segmentation.md runs as it is written, and its network learns."""

import pytest
import torch

import senet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_recipe_of_a_segmenter_runs(page) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torchvision")
    names = page("docs/recipes/torchvision_segmentation.md")
    assert len(names["explanation"].blocks) == 15
    assert len(senet.find(names["model"])) == 15 - len(names["folded"].removed)
    assert not names["folded"].scaled
    assert names["right"]() > 0.6
    assert names["report"].error < 1e-4


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "fcn_resnet50"])
def test_every_residual_unit_of_a_resnet_backbone_takes_a_block(name: str) -> None:
    segmentation = pytest.importorskip("torchvision.models.segmentation")
    build = getattr(segmentation, name)
    with torch.device("meta"):
        model = build(weights=None, weights_backbone=None, num_classes=3, aux_loss=True)
    assert len(senet.plan(model, "standard:reduction=8", shape=(1, 3, 64, 64))) == 16
