"""Inside timm: our networks by name in its registry, our block in its networks."""

from importlib import import_module

import pytest
import torch

import senet
from senet.errors import CheckpointError, SpecError
from senet.nn import SqueezeExcite
from senet.spec import SESpec
from senet.weights import load_weights, state_dict_as

timm = pytest.importorskip("timm")

pytestmark = pytest.mark.parity


def test_every_network_of_the_zoo_is_in_the_registry() -> None:
    names = senet.timm_models()
    assert len(names) == len(senet.list_models())
    assert sorted(timm.list_models("senet_*")) == names
    assert senet.timm_models() == names
    assert sorted(timm.list_models(module="timm_registry")) == names
    assert not set(names) & set(import_module("senet.networks.timm_registry").__all__)


def test_timm_builds_our_networks() -> None:
    senet.timm_models()
    model = timm.create_model("senet_resnet20", se=SESpec(reduction=4), num_classes=7, in_chans=1, drop_rate=0.3)
    assert model(torch.randn(2, 1, 32, 32)).shape == (2, 7)
    assert len(senet.find(model)) == 9
    assert model.drop.p == 0.3
    assert model.get_classifier().out_features == 7
    worded = timm.create_model("senet_resnet50_v15", se="standard:reduction=8", num_classes=10)
    assert worded.get_submodule("stage1.unit1.se").widths == (256, 32, 256)
    assert timm.create_model("senet_resnet20", shortcut="B", depths=(1, 1, 1)).num_classes == 10
    assert timm.data.resolve_model_data_config(worded)["input_size"] == (3, 224, 224)


def test_what_a_network_does_not_have_is_refused() -> None:
    senet.timm_models()
    with pytest.raises(CheckpointError, match="resnet20 has no pretrained weights"):
        timm.create_model("senet_resnet20", pretrained=True)
    with pytest.raises(SpecError, match="features_only"):
        timm.create_model("senet_resnet20", features_only=True)


def test_our_block_is_an_attention_layer_of_timm() -> None:
    attention = senet.timm_attention(SESpec(rounding="timm"))
    theirs = timm.create_model("resnet18", block_args={"attn_layer": attention}, num_classes=5)
    blocks = senet.find(theirs)
    assert len(blocks) == 8
    assert {block.kind for block in blocks} == {"senet"}
    ours = senet.create_model("resnet18", se=SESpec(rounding="timm"), num_classes=5)
    assert load_weights(ours, theirs.state_dict(), origin="timm").tensors == len(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-5, atol=1e-5)


def test_blocks_of_timm_give_way_to_ours() -> None:
    theirs = timm.create_model("seresnet18", num_classes=5)
    mine = timm.create_model(
        "resnet18", block_args={"attn_layer": senet.timm_attention(SESpec(rounding="timm"))}, num_classes=5
    )
    mine.load_state_dict(theirs.state_dict(), strict=True)
    assert isinstance(mine.layer1[0].se, SqueezeExcite)
    assert state_dict_as(senet.create_model("resnet18", se=SESpec(rounding="timm"), num_classes=5), "timm").keys() == (
        theirs.state_dict().keys()
    )
