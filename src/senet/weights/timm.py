"""Names of timm's ResNet family with its `se` blocks: `seresnet50`, `seresnext50_32x4d`, `senet154`, `resnet50`, ..."""

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
    """Say what timm calls one of our tensors.

    Its basic units round hidden widths to multiples of 8: give such networks `SESpec(rounding="timm")`.

    Args:
        key: name in our state dict.
        model: our network; not looked at.

    Example:
        >>> their_name("stage1.unit2.se.fc1.weight", nn.Identity())
        'layer1.1.se.fc1.weight'
    """
    return rename(key, NAMES)


ORIGIN = Origin(their_name=their_name, stem_kind="torch", stride_in="3x3")
