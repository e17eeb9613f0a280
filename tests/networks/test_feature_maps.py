"""Networks of the zoo in timm's conventions: maps at several depths, dropout, gradient checkpointing."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch

import senet
from senet.errors import SpecError
from senet.models import list_models


@pytest.mark.parametrize(
    ("name", "channels", "reductions"),
    [
        ("resnet18", [64, 64, 128, 256, 512], [4, 4, 8, 16, 32]),
        ("resnet20", [16, 16, 32, 64], [1, 1, 2, 4]),
        ("vgg16_bn", [64, 128, 256, 512, 512], [2, 4, 8, 16, 32]),
    ],
)
def test_maps_have_the_stated_channels_and_reductions(name: str, channels: list[int], reductions: list[int]) -> None:
    with torch.device("meta"):
        maps = senet.create_model(name, se="standard", features_only=True)
    assert (maps.feature_info.channels(), maps.feature_info.reduction()) == (channels, reductions)
    found = maps(torch.empty(2, 3, 64, 64, device="meta"))
    assert [one.shape for one in found] == [(2, c, 64 // r, 64 // r) for c, r in zip(channels, reductions, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_every_network_of_the_zoo_has_maps(name: str) -> None:
    with torch.device("meta"):
        maps = senet.create_model(name, features_only=True)
    assert maps.feature_info.channels()[-1] > 0
    assert len(maps.feature_info) == len(maps.parts)


def test_the_maps_are_those_of_the_network_and_take_its_weights() -> None:
    model = senet.create_model("resnet20", se="standard:reduction=4").eval()
    maps = senet.create_model("resnet20", se="standard:reduction=4", features_only=True, out_indices=(-1, 1)).eval()
    assert {*maps.state_dict()} < {*model.state_dict()}
    maps.load_state_dict(model.state_dict(), strict=False)
    x = torch.randn(2, 3, 32, 32)
    small, large = maps(x)[1], maps(x)[0]
    assert torch.equal(small, model.forward_features(x))
    assert torch.equal(large, model.stage1(model.stem(x)))
    assert maps.feature_info[0] == {"num_chs": 16, "reduction": 1, "module": "stage1"}
    assert maps.feature_info.module_name() == ["stage1", "stage3"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"features_only": True, "out_indices": (4,)}, "numbers from 0 to 3, which stand for stem, stage1"),
        ({"features_only": True, "out_indices": 3}, "out_indices = 3 is not possible; list numbers from 0 to 3"),
        ({"features_only": True, "out_indices": (True,)}, "out_indices = .True,. is not possible"),
        ({"features_only": "no"}, "features_only = 'no' is not possible"),
        ({"features_only": True, "out_indices": ()}, "out_indices = .* is not possible"),
        ({"out_indices": (1,)}, "goes with features_only=True"),
        ({"pretrained": True}, "has no trained weights of its own; pass weights=FILE"),
        ({"out_indices": 2}, "out_indices = 2 goes with features_only=True"),
        ({"drop_rate": 1.5}, "drop_rate = 1.5 is not possible"),
        ({"drop_rate": "0.5"}, "drop_rate = '0.5' is not possible"),
    ],
)
def test_what_does_not_fit_is_one_sentence(options: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        senet.create_model("resnet8", **options)  # type: ignore[call-overload]


def test_dropout_has_the_asked_rate_and_that_of_the_family_otherwise() -> None:
    with torch.device("meta"):
        assert senet.create_model("resnet8", drop_rate=0.3).drop.p == 0.3
        assert senet.create_model("senet154").drop.p == 0.2
        assert senet.create_model("senet154", drop_rate=0.0).drop.p == 0.0


def test_gradient_checkpointing_changes_no_value() -> None:
    torch.manual_seed(0)
    plain = senet.create_model("resnet8", se="srm", drop_rate=0.5).train()
    saving = deepcopy(plain)
    saving.set_grad_checkpointing()
    x = torch.randn(4, 3, 16, 16)
    for model in (plain, saving):
        torch.manual_seed(1)
        model(x).square().sum().backward()
    for one, other in zip(plain.parameters(), saving.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    assert all(torch.equal(a, b) for a, b in zip(plain.buffers(), saving.buffers(), strict=True))
    saving.set_grad_checkpointing(False)
    assert not saving.grad_checkpointing


def test_a_folder_holds_a_network_of_any_drop_rate_and_no_maps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = senet.create_model("resnet8", se="standard", drop_rate=0.3).eval()
    senet.save_pretrained(network, tmp_path / "a", name="resnet8", se="standard")
    read = senet.from_pretrained(tmp_path / "a").eval()
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(read(x), network(x))
    assert read.drop.p == 0.0  # the rate of the family
    maps = senet.create_model("resnet8", se="standard", features_only=True, weights=tmp_path / "a").eval()
    assert torch.equal(maps(x)[-1], network.forward_features(x))
    with pytest.raises(SpecError, match="a folder holds whole networks"):
        senet.save_pretrained(maps, tmp_path / "b", name="resnet8", se="standard")
    senet.accelerate(network)
    with pytest.raises(SpecError, match=r"call senet\.decelerate\(model\) first"):
        senet.save_pretrained(network, tmp_path / "b", name="resnet8", se="standard")
