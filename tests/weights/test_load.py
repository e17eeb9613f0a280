"""The bridge: strict in both directions, and the KTH authors' numbers to the image."""

import pytest
import torch
from torch import Tensor

from senet.errors import CheckpointError, SpecError
from senet.models import create_model
from senet.spec import SESpec
from senet.weights import load_weights, state_dict_as


def randomized(**kwargs: object) -> torch.nn.Module:
    model = create_model("kth_resnet52", **kwargs)  # type: ignore[arg-type]
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return model


def test_state_dict_as_is_the_inverse_of_load_weights() -> None:
    se = SESpec(reduction=(8, 2, 16))
    source, target = randomized(se=se), create_model("kth_resnet52", se=se)
    theirs = state_dict_as(source, "kth")
    assert {"blocks.0.conv1.weight", "blocks.23.se.fc2.bias", "blocks.8.down.weight", "se.fc1.weight"} <= set(theirs)
    report = load_weights(target, theirs, origin="kth")
    assert report.tensors == len(source.state_dict())
    for key, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[key]), key


def test_linear_se_layers_load_into_convolutions() -> None:
    se = SESpec(reduction=8)
    source, target = randomized(se=se), create_model("kth_resnet52", se=se)
    linear = {
        k: v[:, :, 0, 0] if ".se.fc" in f".{k}" and v.ndim == 4 else v for k, v in state_dict_as(source, "kth").items()
    }
    assert linear["blocks.0.se.fc1.weight"].shape == (2, 16)
    load_weights(target, linear, origin="kth")
    assert torch.equal(
        target.state_dict()["stage1.unit1.se.fc1.weight"], source.state_dict()["stage1.unit1.se.fc1.weight"]
    )


def test_missing_se_biases_become_zeros_and_are_reported() -> None:
    se = SESpec(reduction=8)
    state = {
        k: v for k, v in state_dict_as(randomized(se=se), "kth").items() if not (".se.fc" in f".{k}" and "bias" in k)
    }
    model = randomized(se=se)
    report = load_weights(model, state, origin="kth")
    assert len(report.zeros) == 2 * 25
    assert "50 SE biases set to zero" in str(report)
    assert not model.state_dict()["stage3.unit8.se.fc2.bias"].any()


def broken(state: dict[str, Tensor], how: str) -> dict[str, Tensor]:
    if how == "missing":
        state.pop("blocks.3.conv1.weight")
    elif how == "left over":
        state["blocks.3.conv9.weight"] = torch.zeros(1)
    elif how == "renamed":
        state["blocks.3.conv1.weigth"] = state.pop("blocks.3.conv1.weight")
    else:
        state["fc.weight"] = torch.zeros(10, 63)
    return state


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "missing 1: blocks.3.conv1.weight"),
        ("left over", "unexpected 1: blocks.3.conv9.weight"),
        ("renamed", r"nearest: blocks.3.conv1.weigth"),
        ("misshapen", r"fc.weight \(10, 63\) for fc.weight \(10, 64\)"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(how: str, said: str) -> None:
    model = create_model("kth_resnet52")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=said):
        load_weights(model, broken(state_dict_as(randomized(), "kth"), how), origin="kth")
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def test_an_unknown_origin_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpecError, match="Did you mean 'kth'"):
        load_weights(create_model("kth_resnet52"), {}, origin="kht")


def test_every_scheme_of_the_study_loads_by_the_same_rule() -> None:
    for scheme in ((2, 2, 2), (4, 8, 8), (8, 2, 32), (8, 16, 8)):
        se = SESpec(reduction=scheme)
        load_weights(
            create_model("kth_resnet52", se=se), state_dict_as(create_model("kth_resnet52", se=se), "kth"), origin="kth"
        )


@pytest.mark.parametrize(
    ("blocks", "weights", "advice"),
    [
        (SESpec(), None, "the weights are of a network without blocks: build it with se=None, --se plain"),
        (None, SESpec(), r"build the network with the same blocks: se=SESpec\(...\)"),
        (SESpec(reduction=4), SESpec(), "check the reduction of the blocks"),
    ],
)
def test_blocks_of_the_network_alone_or_of_the_weights_alone_are_said(
    blocks: SESpec | None, weights: SESpec | None, advice: str
) -> None:
    model, other = (create_model("resnet8", se=se) for se in (blocks, weights))
    with pytest.raises(CheckpointError, match=advice):
        load_weights(model, other.state_dict(), origin="senet")
