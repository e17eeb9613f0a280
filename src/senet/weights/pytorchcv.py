"""Tensor names of pytorchcv (osmr/imgclsmob): ResNet, SE-ResNet, ResNeXt and SENet for ImageNet and CIFAR.

Model names with the suffix `b` (`seresnet50b`) have the stride in the 3x3 convolution, others in the first 1x1.
"""

from collections.abc import Mapping

from torch import nn

from senet.models.senet154 import SENet154
from senet.weights.origin import Origin, rename

__all__ = ["ORIGIN", "ORIGIN_B", "their_name"]

NAMES: Mapping[str, str] = {
    "stem.conv": "features.init_block.conv.conv",
    "stem.norm": "features.init_block.conv.bn",
    "stem.conv1.conv": "features.init_block.conv1.conv",
    "stem.conv1.norm": "features.init_block.conv1.bn",
    "stem.conv2.conv": "features.init_block.conv2.conv",
    "stem.conv2.norm": "features.init_block.conv2.bn",
    "stem.conv3.conv": "features.init_block.conv3.conv",
    "stem.conv3.norm": "features.init_block.conv3.bn",
    "branch.conv1": "body.conv1.conv",
    "branch.norm1": "body.conv1.bn",
    "branch.conv2": "body.conv2.conv",
    "branch.norm2": "body.conv2.bn",
    "branch.conv3": "body.conv3.conv",
    "branch.norm3": "body.conv3.bn",
    "shortcut.conv": "identity_conv.conv",
    "shortcut.norm": "identity_conv.bn",
    "se.fc1": "se.conv1",
    "se.fc2": "se.conv2",
    "fc": "output",
}
CIFAR_NAMES: Mapping[str, str] = {
    **NAMES,
    "stem.conv": "features.init_block.conv",
    "stem.norm": "features.init_block.bn",
}
SENET_NAMES: Mapping[str, str] = {**NAMES, "fc": "output.fc"}


def their_name(key: str, model: nn.Module) -> str:
    """Return pytorchcv's name of a tensor.

    The networks for CIFAR have projections: build `resnet20` with the option `shortcut="B"`.

    Example:
        >>> from senet.models import create_model
        >>> their_name("stage3.unit1.branch.conv2.weight", create_model("resnet20"))
        'features.stage3.unit1.body.conv2.conv.weight'
    """
    if isinstance(model, SENet154):
        names = SENET_NAMES
    else:
        names = NAMES if "pool" in model.get_submodule("stem")._modules else CIFAR_NAMES
    return rename(key, names, unit="features.stage{stage}.unit{number}")


ORIGIN = Origin(their_name=their_name, stem_kind="torch", stride_in="1x1")
ORIGIN_B = Origin(their_name=their_name, stem_kind="torch", stride_in="3x3")
