"""The networks of other libraries with random weights and statistics: equal logits, in both directions."""

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn

from senet.models import create_model
from senet.spec import SESpec
from senet.weights import load_weights, state_dict_as

SE = SESpec()
ROUNDED = SESpec(rounding="timm")  # timm's basic units have 8 hidden units for 64 and for 128 channels
BIASLESS = SESpec(bias=False)
TORCH_STEM = {"stem_kind": "torch"}

pytestmark = pytest.mark.parity


def from_timm(name: str) -> nn.Module:
    return pytest.importorskip("timm").create_model(name)


def from_torchvision(name: str) -> nn.Module:
    return pytest.importorskip("torchvision").models.get_model(name, weights=None)


def from_monai(name: str) -> nn.Module:
    pytest.importorskip("monai", reason="MONAI is not installed (extra `parity`)")
    return getattr(import_module("monai.networks.nets.senet"), name)(spatial_dims=2, in_channels=3, num_classes=1000)


def from_pytorchcv(name: str) -> nn.Module:
    pytest.importorskip("pytorchcv", reason="pytorchcv is not installed (extra `parity`)")
    family = "seresnet_cifar" if "cifar" in name else name.rstrip("0123456789bdx_")  # seresnext50_32x4d: seresnext
    model = getattr(import_module(f"pytorchcv.models.{family}"), name)(pretrained=False)
    model.features.final_pool = nn.AdaptiveAvgPool2d(1)  # theirs has a size, for images of 224 or 32 pixels only
    return model


def from_mmpretrain(name: str) -> nn.Module:
    reason = "mmpretrain is not installed; it goes with mmengine and mmcv-lite, in no extra of ours"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        models = pytest.importorskip("mmpretrain.models", reason=reason)
        family, depth = name.split()
        head = {"type": "LinearClsHead", "num_classes": 1000, "in_channels": 2048 if int(depth) > 34 else 512}
        groups = {"groups": 32, "width_per_group": 4} if "X" in family else {}
        backbone = {"type": family, "depth": int(depth), **groups}
        model: nn.Module = models.ImageClassifier(backbone, {"type": "GlobalAveragePooling"}, head)
    return model


def like_moskomule(depths: str) -> nn.Module:
    """Build what senet.pytorch builds, which no registry has: torchvision's ResNet with two linear maps in a unit."""
    resnet = pytest.importorskip("torchvision").models.resnet

    class Layer(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            down, up = nn.Linear(channels, channels // 16, bias=False), nn.Linear(channels // 16, channels, bias=False)
            self.fc = nn.Sequential(down, nn.ReLU(), up, nn.Sigmoid())

        def forward(self, x: Tensor) -> Tensor:
            return x * self.fc(x.mean((2, 3)))[:, :, None, None]

    class Unit(resnet.BasicBlock):  # type: ignore[misc, name-defined]
        def __init__(self, inputs: int, outputs: int, *args: object, **kwargs: object) -> None:
            super().__init__(inputs, outputs, *args, **kwargs)
            self.se = Layer(outputs)

        def forward(self, x: Tensor) -> Tensor:
            y = self.se(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
            return self.relu(y + (x if self.downsample is None else self.downsample(x)))

    model: nn.Module = resnet.ResNet(Unit, [int(depth) for depth in depths])
    return model


@torch.no_grad()
def randomize(model: nn.Module) -> None:
    """Fill every weight and statistic: the libraries start the last gamma of a unit at 0, which hides its branch."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.0)
            module.bias.normal_(std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight)  # four times as fast as normal numbers
            if module.bias is not None:
                module.bias.normal_(std=0.5)


def difference(a: Tensor, b: Tensor) -> float:
    """Return the largest difference relative to the largest logit."""
    assert a.isfinite().all()
    assert a.std() > 0
    return ((a - b).abs().max() / a.abs().max()).item()


@torch.no_grad()
def largest_difference(theirs: nn.Module, ours: nn.Module, origin: str, size: int) -> float:
    theirs, ours = theirs.double().eval(), ours.double().eval()
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    randomize(theirs)
    report = load_weights(ours, theirs.state_dict(), origin=origin)
    assert report.tensors == len(theirs.state_dict())
    there = difference(theirs(x), ours(x))
    randomize(ours)
    theirs.load_state_dict(state_dict_as(ours, origin), strict=True)
    return max(there, difference(theirs(x), ours(x)))


slow = pytest.mark.slow
Case = tuple[str, Callable[[str], nn.Module], str, str, SESpec | None, Mapping[str, object]]
CASES: list[Case] = [
    ("timm", from_timm, "resnet18", "resnet18", None, {}),
    ("timm", from_timm, "seresnet18", "resnet18", ROUNDED, {}),
    ("cadene", from_timm, "legacy_seresnet50", "resnet50", SE, {}),
    ("torchvision", from_torchvision, "resnet18", "resnet18", None, {}),
    ("monai", from_monai, "SEResNet50", "resnet50", SE, {}),
    ("pytorchcv", from_pytorchcv, "seresnet18", "resnet18", SE, {}),
    ("pytorchcv", from_pytorchcv, "seresnet20_cifar10", "resnet20", SE, {"shortcut": "B"}),
    ("moskomule", like_moskomule, "2222", "resnet18", BIASLESS, {}),
]
SLOW: list[Case] = [
    ("timm", from_timm, "seresnet50", "resnet50.v15", SE, {}),
    ("timm", from_timm, "seresnext50_32x4d", "resnext50_32x4d", SE, TORCH_STEM),
    ("cadene", from_timm, "legacy_seresnext50_32x4d", "resnext50_32x4d", SE, {}),
    ("torchvision", from_torchvision, "resnext50_32x4d", "resnext50_32x4d", None, TORCH_STEM),
    ("monai", from_monai, "SEResNext50", "resnext50_32x4d", SE, {}),
    ("pytorchcv", from_pytorchcv, "resnet18", "resnet18", None, {}),
    ("pytorchcv", from_pytorchcv, "seresnet50", "resnet50", SE, TORCH_STEM),
    ("pytorchcv.b", from_pytorchcv, "seresnet50b", "resnet50.v15", SE, {}),
    ("pytorchcv", from_pytorchcv, "seresnext50_32x4d", "resnext50_32x4d", SE, TORCH_STEM),
    ("timm", from_timm, "resnet34", "resnet34", None, {}),
    ("timm", from_timm, "seresnet34", "resnet34", ROUNDED, {}),
    ("timm", from_timm, "resnet50", "resnet50.v15", None, {}),
    ("timm", from_timm, "resnet101", "resnet101.v15", None, {}),
    ("timm", from_timm, "seresnet101", "resnet101.v15", SE, {}),
    ("timm", from_timm, "resnet152", "resnet152.v15", None, {}),
    ("timm", from_timm, "seresnet152", "resnet152.v15", SE, {}),
    ("timm", from_timm, "resnext50_32x4d", "resnext50_32x4d", None, TORCH_STEM),
    ("timm", from_timm, "resnext101_32x4d", "resnext101_32x4d", None, TORCH_STEM),
    ("timm", from_timm, "seresnext101_32x4d", "resnext101_32x4d", SE, TORCH_STEM),
    ("cadene", from_timm, "legacy_seresnet101", "resnet101", SE, {}),
    ("cadene", from_timm, "legacy_seresnet152", "resnet152", SE, {}),
    ("cadene", from_timm, "legacy_seresnext101_32x4d", "resnext101_32x4d", SE, {}),
    ("cadene", from_timm, "legacy_senet154", "senet154", SE, {}),
    ("torchvision", from_torchvision, "resnet34", "resnet34", None, {}),
    ("torchvision", from_torchvision, "resnet50", "resnet50.v15", None, {}),
    ("torchvision", from_torchvision, "resnet101", "resnet101.v15", None, {}),
    ("torchvision", from_torchvision, "resnet152", "resnet152.v15", None, {}),
    ("monai", from_monai, "SEResNet101", "resnet101", SE, {}),
    ("monai", from_monai, "SEResNet152", "resnet152", SE, {}),
    ("monai", from_monai, "SEResNext101", "resnext101_32x4d", SE, {}),
    ("monai", from_monai, "SENet154", "senet154", SE, {}),
    ("mmpretrain", from_mmpretrain, "ResNet 18", "resnet18", None, {}),
    ("mmpretrain", from_mmpretrain, "SEResNet 50", "resnet50.v15", SE, {}),
    ("mmpretrain", from_mmpretrain, "SEResNet 101", "resnet101.v15", SE, {}),
    ("mmpretrain", from_mmpretrain, "SEResNeXt 50", "resnext50_32x4d", SE, TORCH_STEM),
    ("pytorchcv", from_pytorchcv, "seresnet34", "resnet34", SE, {}),
    ("pytorchcv", from_pytorchcv, "seresnet101", "resnet101", SE, TORCH_STEM),
    ("pytorchcv.b", from_pytorchcv, "seresnet101b", "resnet101.v15", SE, {}),
    ("pytorchcv", from_pytorchcv, "seresnext101_32x4d", "resnext101_32x4d", SE, TORCH_STEM),
]


@pytest.mark.parametrize(
    ("origin", "library", "theirs", "ours", "se", "options"),
    [pytest.param(*case, id=f"{case[0]}-{case[2]}") for case in CASES]
    + [pytest.param(*case, id=f"{case[0]}-{case[2]}", marks=slow) for case in SLOW],
)
def test_logits_are_equal_in_both_directions(
    origin: str,
    library: Callable[[str], nn.Module],
    theirs: str,
    ours: str,
    se: SESpec | None,
    options: Mapping[str, object],
) -> None:
    assert largest_difference(library(theirs), create_model(ours, se=se, options=options), origin, 32) < 1e-10


@slow
@pytest.mark.parametrize(("origin", "library"), [("timm", from_timm), ("pytorchcv", from_pytorchcv)])
def test_senet154_with_the_other_pool_is_theirs(origin: str, library: Callable[[str], nn.Module]) -> None:
    model = create_model("senet154", se=SE)
    model.get_submodule("stem").pool = nn.MaxPool2d(3, 2, padding=1)
    assert largest_difference(library("senet154"), model, origin, 64) < 1e-10


def test_names_and_shapes_cannot_tell_the_readings() -> None:
    caffe, torch_ = create_model("resnet50", se=SE).eval(), create_model("resnet50.v15", se=SE).eval()
    randomize(caffe)
    load_weights(torch_, caffe.state_dict())  # our own names: nothing but names and shapes is compared
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert difference(caffe(x), torch_(x)) > 0.01
