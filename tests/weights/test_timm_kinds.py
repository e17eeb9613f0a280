"""Weights of timm's networks with ECA and effective SE, in the zoo and in networks of timm with inserted blocks."""

import pytest
import torch
from torch import nn

import senet
from senet.errors import CheckpointError
from senet.weights import load_weights, state_dict_as

timm = pytest.importorskip("timm")

pytestmark = pytest.mark.parity


def noisy(model: nn.Module) -> nn.Module:
    for number, parameter in enumerate(model.parameters()):
        parameter.data.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)) / 20)
    return model.eval()


def round_trip(ours: nn.Module, theirs: nn.Module) -> None:
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    loaded = load_weights(ours.eval(), theirs.state_dict(), origin="timm")
    assert loaded.tensors == len(theirs.state_dict())
    with torch.no_grad():
        assert (ours(x) - theirs(x)).abs().max() <= 1e-6
    written = state_dict_as(ours, "timm")
    assert written.keys() == theirs.state_dict().keys()
    assert all(torch.equal(written[name], value) for name, value in theirs.state_dict().items())


@pytest.mark.parametrize("kind", ["eca", "ese"])
def test_weights_of_a_resnet_of_timm_fit_the_zoo_and_come_back(kind: str) -> None:
    theirs = noisy(timm.create_model("resnet18", block_args={"attn_layer": kind}, num_classes=5))
    round_trip(senet.create_model("resnet18", se=kind, num_classes=5), theirs)


@pytest.mark.slow
def test_weights_of_ecaresnet_fit_a_resnet_of_timm_with_inserted_blocks() -> None:
    ours = timm.create_model("resnet26t", num_classes=5)
    senet.insert(ours, "eca", preserve=False)
    round_trip(ours, noisy(timm.create_model("ecaresnet26t", num_classes=5)))


@pytest.mark.slow
def test_weights_of_ese_vovnet_fit_a_vovnet_of_timm_with_inserted_blocks() -> None:
    from timm.models.vovnet import VovNet, model_cfgs

    ours = VovNet({**model_cfgs["ese_vovnet19b_slim"], "attn": ""}, num_classes=5)
    senet.insert(ours, "ese", preserve=False)
    round_trip(ours, noisy(timm.create_model("ese_vovnet19b_slim", num_classes=5)))


def test_kinds_that_compute_something_else_under_the_same_names_are_refused() -> None:
    with torch.device("meta"):
        for words, said in (
            (
                "cbam",
                "stage1.unit1.se is cbam r=16, the blocks of 'timm' use avg, relu, sigmoid, or are eca, or are ese",
            ),
            ("eca:gate=tanh", "stage1.unit1.se is eca gate=tanh, the blocks of 'timm' use"),
            ("direct", "stage1.unit1.se is ese gate=sigmoid, the blocks of 'timm' use"),
            ("gc", "has no name for stage1.unit1.se.squeeze.weight"),
        ):
            with pytest.raises(CheckpointError, match=said):
                state_dict_as(senet.create_model("resnet18", se=words), "timm")
        with pytest.raises(CheckpointError, match=r"has no name for stage1\.unit1\.se\.conv\.weight"):
            state_dict_as(senet.create_model("resnet18", se="eca"), "torchvision")
