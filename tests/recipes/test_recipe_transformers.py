"""docs/recipes/transformers.md runs as it is written, and its network learns."""

from pathlib import Path

import pytest
import torch

import senet
from senet.errors import SpecError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_recipe_of_a_network_of_transformers_runs(page) -> None:  # type: ignore[no-untyped-def]
    transformers = pytest.importorskip("transformers", reason="needs pip install transformers accelerate")
    pytest.importorskip("accelerate", reason="the Trainer needs pip install accelerate")
    names = page("docs/recipes/transformers.md")
    model, picture = names["model"], names["picture"]
    assert names["right"] > 0.8
    assert len(senet.find(names["again"])) == 3
    assert len(senet.find(model)) == 3 - len(names["folded"].removed)
    assert Path("resnet.onnx").exists()
    senet.fold(model, [names["images"][:100]], tolerance=None)
    model.save_pretrained("folded")
    plain = transformers.ResNetForImageClassification.from_pretrained("folded")
    with torch.no_grad():
        assert torch.equal(plain.eval()(picture).logits, model.eval()(picture).logits)


SMALL = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "num_labels": 5}
CASES = {
    "ConvNext": (SMALL, 5),
    "RegNet": (SMALL | {"layer_type": "x", "groups_width": 8, "embedding_size": 8}, 5),
    "MobileNetV2": ({"num_labels": 5, "depth_multiplier": 0.5}, 16),
}


@pytest.mark.parametrize("name", CASES)
def test_other_networks_of_the_library_take_blocks(name: str) -> None:
    transformers = pytest.importorskip("transformers", reason="needs pip install transformers")
    options, count = CASES[name]
    config = getattr(transformers, f"{name}Config")(**options)
    model = getattr(transformers, f"{name}ForImageClassification")(config).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = model(x).logits
        assert len(senet.insert(model, "standard:reduction=4", shape=(1, 3, 64, 64))) == count
        assert torch.equal(model(x).logits, before)


def test_networks_of_the_library_with_blocks_or_without_convolutions_get_none() -> None:
    transformers = pytest.importorskip("transformers", reason="needs pip install transformers")
    config = transformers.RegNetConfig(**SMALL, layer_type="y", groups_width=8, embedding_size=8)
    planned = senet.plan(
        transformers.RegNetForImageClassification(config), "standard:reduction=4", shape=(1, 3, 64, 64)
    )
    assert len(planned) == 0
    assert all("has a block already" in one.reason for one in planned.skipped)
    config = transformers.ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    with pytest.raises(SpecError, match="is a transformer or a mixer"):
        senet.plan(transformers.ViTForImageClassification(config), shape=(1, 3, 224, 224))
