"""The tensor names and the conventions of the libraries that weights come from: `ORIGINS`."""

from collections.abc import Mapping
from functools import partial

from torch import nn

from senet.models.senet154 import SENet154
from senet.weights import kth
from senet.weights.origin import Origin, TheirName, rename
from senet.weights.timm_blocks import by_timm

__all__ = ["ORIGINS"]

Names = Mapping[str, str]


def unit_names(conv: str, norm: str, shortcut: tuple[str, str]) -> dict[str, str]:
    """Return the names of the layers of a unit, from those of its numbered convolutions and norms and its shortcut."""
    branch = {f"branch.conv{n}": conv.format(n) for n in (1, 2, 3)} | {
        f"branch.norm{n}": norm.format(n) for n in (1, 2, 3)
    }
    return {**branch, "shortcut.conv": shortcut[0], "shortcut.norm": shortcut[1]}


def deep_stem_names(conv: str, norm: str) -> dict[str, str]:
    """Return the names of the layers of a stem of three convolutions."""
    convs = {f"stem.conv{n}.conv": conv.format(n) for n in (1, 2, 3)}
    return convs | {f"stem.conv{n}.norm": norm.format(n) for n in (1, 2, 3)}


def block_names(first: str, second: str) -> dict[str, str]:
    """Return the names of the two layers of a block."""
    return {"se.fc1": first, "se.fc2": second}


UNIT = unit_names("conv{}", "bn{}", ("downsample.0", "downsample.1"))
TORCHVISION = {"stem.conv": "conv1", "stem.norm": "bn1", **UNIT, "fc": "fc"}
TIMM = {
    **TORCHVISION,
    "stem.conv1.conv": "conv1.0",
    "stem.conv1.norm": "conv1.1",
    "stem.conv2.conv": "conv1.3",
    "stem.conv2.norm": "conv1.4",
    "stem.conv3.conv": "conv1.6",
    "stem.conv3.norm": "bn1",
    **block_names("se.fc1", "se.fc2"),
    "se.conv": "se.conv",
}
CAFFE_STEM = {"stem.conv": "layer0.conv1", "stem.norm": "layer0.bn1", **deep_stem_names("layer0.conv{}", "layer0.bn{}")}
CAFFE_ENDS = {**CAFFE_STEM, "fc": "last_linear"}
CADENE = {**CAFFE_ENDS, **UNIT, **block_names("se_module.fc1", "se_module.fc2")}
MONAI = {
    **CAFFE_ENDS,
    **unit_names("conv{}.conv", "conv{}.adn.N", ("project.conv", "project.adn.N")),
    **block_names("se_layer.fc.0", "se_layer.fc.2"),
}
MMPRETRAIN = {
    "stem.conv": "backbone.conv1",
    "stem.norm": "backbone.bn1",
    "fc": "head.fc",
    **UNIT,
    **block_names("se_layer.conv1.conv", "se_layer.conv2.conv"),
}
MOSKOMULE = {**TORCHVISION, **block_names("se.fc.0", "se.fc.2")}
PYTORCHCV = {
    "stem.conv": "features.init_block.conv.conv",
    "stem.norm": "features.init_block.conv.bn",
    **deep_stem_names("features.init_block.conv{}.conv", "features.init_block.conv{}.bn"),
    **unit_names("body.conv{}.conv", "body.conv{}.bn", ("identity_conv.conv", "identity_conv.bn")),
    **block_names("se.conv1", "se.conv2"),
    "fc": "output",
}
PYTORCHCV_CIFAR = {**PYTORCHCV, "stem.conv": "features.init_block.conv", "stem.norm": "features.init_block.bn"}
PYTORCHCV_SENET = {**PYTORCHCV, "fc": "output.fc"}


def by_table(names: Names, *, unit: str = "layer{stage}.{index}") -> TheirName:
    """Return the function from a tensor name of senet to the name in a table."""
    return lambda key, model: rename(key, names, unit=unit)


def pytorchcv(key: str, model: nn.Module) -> str:
    """Return pytorchcv's name of a tensor; the stem and the class of the network select the table.

    Example:
        >>> from senet.models import create_model
        >>> pytorchcv("stage3.unit1.branch.conv2.weight", create_model("resnet20"))
        'features.stage3.unit1.body.conv2.conv.weight'
    """
    names = PYTORCHCV if "pool" in model.get_submodule("stem")._modules else PYTORCHCV_CIFAR
    return rename(
        key, PYTORCHCV_SENET if isinstance(model, SENet154) else names, unit="features.stage{stage}.unit{number}"
    )


_torch = partial(Origin, stem_kind="torch", stride_in="3x3")
_caffe = partial(Origin, stem_kind="caffe", stride_in="1x1")

ORIGINS: Mapping[str, Origin] = {
    "senet": Origin(their_name=lambda key, model: key, checked=False),
    # conversions of the official Caffe weights, in timm as `legacy_seresnet50` and so on
    "cadene": _caffe(their_name=by_table(CADENE), basic="they have a ReLU between the last norm and the block"),
    # the KTH study, nlindqv/RRs-in-SENets
    "kth": Origin(their_name=kth.their_name),
    # classifiers with backbone ResNet, SEResNet, ResNeXt or SEResNeXt, style `pytorch`
    "mmpretrain": _torch(
        their_name=by_table(MMPRETRAIN, unit="backbone.layer{stage}.{index}"),
        extras=("data_preprocessor.*", "auxiliary_head.*"),
    ),
    # its 2-D SENet family: `SEResNet50`, `SEResNext50`, their deeper versions, and `SENet154`
    "monai": _caffe(their_name=by_table(MONAI), basic="it has bottlenecks only", linear=True),
    # senet.pytorch and the many copies of its block; its networks for CIFAR have projections: option `shortcut="B"`
    "moskomule": _torch(their_name=by_table(MOSKOMULE), linear=True, biases=False),
    # osmr/imgclsmob for ImageNet and CIFAR (option `shortcut="B"`); models named `...b` have the stride in the 3x3
    "pytorchcv": Origin(their_name=pytorchcv, stem_kind="torch", stride_in="1x1"),
    "pytorchcv.b": _torch(their_name=pytorchcv),
    # ResNets with and without blocks; it rounds hidden widths: build with `SESpec(rounding="timm")`
    "timm": _torch(their_name=by_timm(TIMM), kinds=("eca", "ese")),
    # plain ResNet and ResNeXt, from which most other libraries derive their names
    "torchvision": _torch(their_name=by_table(TORCHVISION)),
}
