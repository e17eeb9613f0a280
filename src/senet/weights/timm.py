"""Tensor names of timm's ResNets, with and without `se` blocks: `resnet50`, `seresnet50`, `senet154`, ..."""

from collections.abc import Mapping

from torch import nn

from senet.weights import torchvision
from senet.weights.origin import Origin, rename

__all__ = ["ORIGIN", "their_name"]

DEEP_STEM: Mapping[str, str] = {
    "stem.conv1.conv": "conv1.0",
    "stem.conv1.norm": "conv1.1",
    "stem.conv2.conv": "conv1.3",
    "stem.conv2.norm": "conv1.4",
    "stem.conv3.conv": "conv1.6",
    "stem.conv3.norm": "bn1",
}
NAMES: Mapping[str, str] = {**torchvision.NAMES, **DEEP_STEM, "se.fc1": "se.fc1", "se.fc2": "se.fc2"}


def their_name(key: str, model: nn.Module) -> str:
    """Return timm's name of a tensor.

    timm rounds the hidden widths of blocks to multiples of 8: build such networks with `SESpec(rounding="timm")`.

    Example:
        >>> their_name("stage1.unit2.se.fc1.weight", nn.Identity())
        'layer1.1.se.fc1.weight'
    """
    return rename(key, NAMES)


ORIGIN = Origin(their_name=their_name, stem_kind="torch", stride_in="3x3")
