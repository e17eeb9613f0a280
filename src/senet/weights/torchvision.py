"""Tensor names of torchvision's plain ResNet and ResNeXt, which most other libraries derive theirs from."""

from collections.abc import Mapping

from torch import nn

from senet.weights.origin import Origin, rename

__all__ = ["NAMES", "ORIGIN", "UNIT_NAMES", "their_name"]

UNIT_NAMES: Mapping[str, str] = {
    "branch.conv1": "conv1",
    "branch.norm1": "bn1",
    "branch.conv2": "conv2",
    "branch.norm2": "bn2",
    "branch.conv3": "conv3",
    "branch.norm3": "bn3",
    "shortcut.conv": "downsample.0",
    "shortcut.norm": "downsample.1",
}
NAMES: Mapping[str, str] = {"stem.conv": "conv1", "stem.norm": "bn1", **UNIT_NAMES, "fc": "fc"}


def their_name(key: str, model: nn.Module) -> str:
    """Return torchvision's name of a tensor.

    Example:
        >>> their_name("stage4.unit1.shortcut.norm.bias", nn.Identity())
        'layer4.0.downsample.1.bias'
    """
    return rename(key, NAMES)


ORIGIN = Origin(their_name=their_name, stem_kind="torch", stride_in="3x3")
