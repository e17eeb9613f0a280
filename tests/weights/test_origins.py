"""Origins: names as ANCHORS section 3a lists them, and what names cannot tell: pools, strides, gates."""

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from senet.errors import CheckpointError, SpecError
from senet.models import Network, create_model
from senet.spec import SESpec
from senet.weights import ORIGINS, load_weights, state_dict_as
from senet.weights.reading import reading

SE = SESpec()
TORCH_STEM = {"stem_kind": "torch"}


def meta(name: str, *, se: SESpec | None = SE, options: Mapping[str, object] | None = None) -> Network:
    with torch.device("meta"):
        return create_model(name, se=se, options=options)


# origin: network, options, the block of SE-ResNet-50 (ANCHORS 3a) and more of its names
ANCHORED = [
    (
        "timm",
        "resnet50.v15",
        {},
        {
            "stage1.unit1.se.fc1.weight": "layer1.0.se.fc1.weight",
            "stage1.unit1.se.fc2.bias": "layer1.0.se.fc2.bias",
            "stem.conv.weight": "conv1.weight",
            "stem.norm.running_var": "bn1.running_var",
            "stage4.unit3.branch.norm3.weight": "layer4.2.bn3.weight",
            "stage2.unit1.shortcut.conv.weight": "layer2.0.downsample.0.weight",
            "stage2.unit1.shortcut.norm.bias": "layer2.0.downsample.1.bias",
            "fc.bias": "fc.bias",
        },
    ),
    (
        "cadene",
        "resnet50",
        {},
        {
            "stage1.unit1.se.fc1.weight": "layer1.0.se_module.fc1.weight",
            "stem.conv.weight": "layer0.conv1.weight",
            "stem.norm.weight": "layer0.bn1.weight",
            "fc.weight": "last_linear.weight",
        },
    ),
    (
        "monai",
        "resnet50",
        {},
        {
            "stage1.unit1.se.fc1.weight": "layer1.0.se_layer.fc.0.weight",
            "stage1.unit1.se.fc2.weight": "layer1.0.se_layer.fc.2.weight",
            "stage1.unit1.branch.conv1.weight": "layer1.0.conv1.conv.weight",
            "stage1.unit1.branch.norm1.bias": "layer1.0.conv1.adn.N.bias",
            "stage1.unit1.shortcut.conv.weight": "layer1.0.project.conv.weight",
        },
    ),
    (
        "mmpretrain",
        "resnet50.v15",
        {},
        {
            "stage1.unit1.se.fc1.weight": "backbone.layer1.0.se_layer.conv1.conv.weight",
            "stage1.unit1.se.fc2.bias": "backbone.layer1.0.se_layer.conv2.conv.bias",
            "stem.conv.weight": "backbone.conv1.weight",
            "stage3.unit6.branch.conv2.weight": "backbone.layer3.5.conv2.weight",
            "stage1.unit1.shortcut.norm.weight": "backbone.layer1.0.downsample.1.weight",
            "fc.weight": "head.fc.weight",
        },
    ),
    (
        "pytorchcv",
        "resnet50",
        TORCH_STEM,
        {
            "stage1.unit1.se.fc1.weight": "features.stage1.unit1.se.conv1.weight",
            "stage1.unit1.branch.conv1.weight": "features.stage1.unit1.body.conv1.conv.weight",
            "fc.weight": "output.weight",
        },
    ),
    (
        "moskomule",
        "resnet50.v15",
        {},
        {
            "stage1.unit1.se.fc1.weight": "layer1.0.se.fc.0.weight",
            "stage1.unit1.se.fc2.weight": "layer1.0.se.fc.2.weight",
            "stage1.unit1.branch.conv1.weight": "layer1.0.conv1.weight",
            "fc.weight": "fc.weight",
        },
    ),
    (
        "moskomule",
        "resnet20",
        {"shortcut": "B"},
        {"stem.conv.weight": "conv1.weight", "stage2.unit1.shortcut.conv.weight": "layer2.0.downsample.0.weight"},
    ),
]


@pytest.mark.parametrize(("origin", "network", "options", "names"), ANCHORED)
def test_names_are_those_of_the_anchors(
    origin: str, network: str, options: Mapping[str, object], names: Mapping[str, str]
) -> None:
    model = meta(network, options=options)
    for ours, theirs in names.items():
        assert ORIGINS[origin].their_name(ours, model) == theirs


@pytest.mark.parametrize("origin", [o for o in ORIGINS if o not in ("senet", "kth", "torchvision")])
def test_every_tensor_has_one_name_and_comes_back(origin: str) -> None:
    depths = {"depths": (1, 1, 1, 1), "widths": (16, 16, 16, 16)}
    facts = {"stem_kind": ORIGINS[origin].stem_kind, "stride_in": ORIGINS[origin].stride_in}
    se = SESpec(reduction=4, bias=ORIGINS[origin].biases)
    source = create_model("resnet50", se=se, num_classes=5, options=depths | facts)
    target = create_model("resnet50", se=se, num_classes=5, options=depths | facts)
    theirs = state_dict_as(source, origin)
    assert len(theirs) == len(source.state_dict())
    assert load_weights(target, theirs, origin=origin).tensors == len(theirs)
    for key, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[key]), key


def test_linear_origins_get_linear_maps() -> None:
    options = {"depths": (1, 1, 1, 1), "widths": (16, 16, 16, 16)}
    model = create_model("resnet50", se=SESpec(reduction=4), options=options)
    assert state_dict_as(model, "monai")["layer1.0.se_layer.fc.0.weight"].shape == (16, 64)
    assert state_dict_as(model, "cadene")["layer1.0.se_module.fc1.weight"].shape == (16, 64, 1, 1)


def small(*, bias: bool = True) -> Network:
    return create_model("resnet20", se=SESpec(bias=bias), options={"shortcut": "B", "depths": (1, 1, 1)})


def test_an_origin_without_biases_takes_zeros_only() -> None:
    model = small()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".se." in name and name.endswith("bias"):
                parameter.zero_()
    theirs = state_dict_as(model, "moskomule")
    assert "layer1.0.se.fc.0.weight" in theirs
    assert not any(name.startswith("layer") and ".se." in name and "bias" in name for name in theirs)
    with torch.no_grad():
        model.get_submodule("stage1.unit1.se.fc2").bias.fill_(0.1)
    with pytest.raises(CheckpointError, match=r"stage1.unit1.se.fc2.bias is not zero.*have no biases"):
        state_dict_as(model, "moskomule")
    report = load_weights(model, theirs, origin="moskomule")
    assert len(report.zeros) == 6
    assert not model.state_dict()["stage1.unit1.se.fc2.bias"].any()


def test_a_file_that_lost_some_biases_is_damaged() -> None:
    theirs = state_dict_as(small(), "timm")
    del theirs["layer2.0.se.fc1.bias"]
    with pytest.raises(CheckpointError, match=r"missing 1: layer2.0.se.fc1.bias"):
        load_weights(small(), theirs, origin="timm")


def test_old_files_without_counters_load_and_say_so() -> None:
    source, target = small(), small()
    theirs = {k: v for k, v in state_dict_as(source, "timm").items() if "num_batches" not in k}
    report = load_weights(target, theirs, origin="timm")
    assert len(report.counters) == 9
    assert "9 batch counters unchanged" in str(report)


def test_what_is_no_part_of_the_network_is_named() -> None:
    source = small()
    theirs = state_dict_as(source, "mmpretrain") | {"data_preprocessor.mean": torch.zeros(3, 1, 1)}
    report = load_weights(small(), theirs, origin="mmpretrain")
    assert report.extras == ("data_preprocessor.mean",)
    assert "unused 1: data_preprocessor.mean" in str(report)
    with pytest.raises(CheckpointError, match=r"unexpected 1: data_preprocessor.mean"):
        load_weights(small(), state_dict_as(source, "timm") | {"data_preprocessor.mean": torch.zeros(3)}, origin="timm")


@pytest.mark.parametrize(
    ("origin", "network", "options", "said"),
    [
        ("timm", "resnet50", {}, r"for stem_kind = 'torch', stride_in = '3x3', this network has .*'caffe'.*'1x1'"),
        ("timm", "resnet50", {}, r"Build 'resnet50.v15'\."),
        ("torchvision", "resnet101", {}, r"Build 'resnet101.v15'\."),
        ("cadene", "resnet152.v15", {}, r"Build 'resnet152'\."),
        ("monai", "resnet50", TORCH_STEM, r"Build 'resnet50'\."),
        ("cadene", "resnext50_32x4d", TORCH_STEM, r"Build 'resnext50_32x4d'\."),
        ("timm", "resnext50_32x4d", {}, r"Build it with options={'stem_kind': 'torch', 'stride_in': '3x3'}\."),
        ("pytorchcv", "resnet50", {}, r"Build it with options={'stem_kind': 'torch', 'stride_in': '1x1'}\."),
        ("pytorchcv", "resnet50.v15", {}, r"options={'stem_kind': 'torch', 'stride_in': '1x1'}\."),
        ("pytorchcv.b", "resnet50", TORCH_STEM, r"Build 'resnet50.v15'\."),
        ("mmpretrain", "resnet50", {}, r"Build 'resnet50.v15'\."),
        ("moskomule", "resnet18", {"stem_kind": "caffe"}, r"Build 'resnet18'\."),
        ("cadene", "resnet18", {"stem_kind": "caffe"}, "basic units of 'cadene' differ from these: they have a ReLU"),
        (
            "monai",
            "resnet18",
            {"stem_kind": "caffe"},
            "basic units of 'monai' differ from these: it has bottlenecks only",
        ),
        ("timm", "senet154", {}, r"model.stem.pool = nn.MaxPool2d\(3, 2, padding=1\)\."),
    ],
)
def test_a_network_that_would_give_other_numbers_is_refused_with_the_one_to_build(
    origin: str, network: str, options: Mapping[str, object], said: str
) -> None:
    model = meta(network, se=None if origin == "torchvision" else SE, options=options)
    with pytest.raises(CheckpointError, match=said):
        load_weights(model, {}, origin=origin)
    with pytest.raises(CheckpointError, match=said):
        state_dict_as(model, origin)


@pytest.mark.parametrize("change", [{"gate": "tanh"}, {"squeeze": "max"}, {"activation": "silu"}])
def test_blocks_that_gate_otherwise_are_refused(change: Mapping[str, str]) -> None:
    with pytest.raises(CheckpointError, match=r"stage1.unit1.se is standard r=16 \w+=\w+, the blocks of 'timm' use"):
        load_weights(meta("resnet20", se=SE.but(**change)), {}, origin="timm")


@pytest.mark.parametrize(
    ("network", "se", "first"),
    [
        ("resnet50.v15", SESpec(slot="pre"), "stage1.unit1.se_pre.fc1.weight"),
        ("resnet50.v15", SESpec(slot="inner"), "stage1.unit1.branch.se_inner.fc1.weight"),
        ("resnet50.v15", SESpec(variant="bump"), "stage1.unit1.se.fc3.weight"),
        ("vgg16_bn", None, "stage1.conv1.weight"),
        ("cnn3", None, "stage1.conv1.weight"),
    ],
)
@pytest.mark.parametrize("origin", ["timm", "pytorchcv"])
def test_tensors_that_an_origin_does_not_know_are_named(
    origin: str, network: str, se: SESpec | None, first: str
) -> None:
    with pytest.raises(CheckpointError, match=f"origin '{origin}' has no name for {first}; choose another origin"):
        load_weights(meta(network, se=se), {}, origin=origin)


def test_a_reading_is_told_from_the_layers() -> None:
    assert str(reading(meta("resnet50"))) == "stem_kind = 'caffe', stride_in = '1x1'"
    assert str(reading(meta("resnext50_32x4d"))) == "stem_kind = 'caffe', stride_in = '3x3'"
    assert str(reading(meta("senet154"))) == "stem_kind = 'caffe', stride_in = '3x3'"
    assert str(reading(meta("resnet18"))) == "stem_kind = 'torch'"
    assert str(reading(meta("resnet18.cifar"))) == ""
    other = meta("resnet18")
    other.get_submodule("stem").pool = nn.MaxPool2d(2)
    with pytest.raises(CheckpointError, match="this network has stem_kind = 'other'"):
        load_weights(other, {}, origin="timm")


def test_other_classes_say_how_to_get_them() -> None:
    source = state_dict_as(small(), "timm")
    target = create_model("resnet20", se=SE, num_classes=3, options={"shortcut": "B", "depths": (1, 1, 1)})
    with pytest.raises(
        CheckpointError,
        match=r"build the network with the number of classes of the weights, load, then call reset_class",
    ):
        load_weights(target, source, origin="timm")
    features = create_model("resnet20", se=SE, num_classes=0, options={"shortcut": "B", "depths": (1, 1, 1)})
    with pytest.raises(CheckpointError, match=r"unexpected 2: fc.weight, fc.bias.*reset_classifier"):
        load_weights(features, source, origin="timm")


def test_other_widths_of_blocks_point_at_the_rounding() -> None:
    options = {"shortcut": "B", "depths": (1, 1, 1)}
    rounded = create_model("resnet20", se=SESpec(rounding="timm"), options=options)
    with pytest.raises(CheckpointError, match=r"layer1.0.se.fc1.weight \(8, 16, 1, 1\) for .*check the reduction of"):
        load_weights(small(), state_dict_as(rounded, "timm"), origin="timm")


def test_a_network_without_memory_is_refused() -> None:
    state = state_dict_as(small(), "timm")
    with pytest.raises(CheckpointError, match="on the device 'meta'"):
        load_weights(meta("resnet20", options={"shortcut": "B", "depths": (1, 1, 1)}), state, origin="timm")


def test_an_unknown_origin_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="Did you mean 'pytorchcv'"):
        state_dict_as(small(), "pytorch_cv")
