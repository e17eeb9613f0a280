"""Tensor names of mmpretrain's classifiers with backbone ResNet, SEResNet, ResNeXt or SEResNeXt, style `pytorch`."""

from collections.abc import Mapping

from torch import nn

from senet.weights import torchvision
from senet.weights.origin import Origin, rename

__all__ = ["ORIGIN", "their_name"]

NAMES: Mapping[str, str] = {
    "stem.conv": "backbone.conv1",
    "stem.norm": "backbone.bn1",
    **torchvision.UNIT_NAMES,
    "se.fc1": "se_layer.conv1.conv",
    "se.fc2": "se_layer.conv2.conv",
    "fc": "head.fc",
}


def their_name(key: str, model: nn.Module) -> str:
    """Return mmpretrain's name of a tensor.

    Example:
        >>> their_name("stage1.unit1.se.fc1.weight", nn.Identity())
        'backbone.layer1.0.se_layer.conv1.conv.weight'
    """
    return rename(key, NAMES, unit="backbone.layer{stage}.{index}")


ORIGIN = Origin(
    their_name=their_name,
    stem_kind="torch",
    stride_in="3x3",
    extras=("data_preprocessor.*", "auxiliary_head.*"),
)
