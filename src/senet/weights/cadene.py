"""Tensor names of Cadene's conversions of the official Caffe weights, in timm as `legacy_seresnet50` and so on."""

from collections.abc import Mapping

from torch import nn

from senet.weights import torchvision
from senet.weights.origin import Origin, rename

__all__ = ["ENDS", "ORIGIN", "their_name"]

ENDS: Mapping[str, str] = {
    "stem.conv": "layer0.conv1",
    "stem.norm": "layer0.bn1",
    "stem.conv1.conv": "layer0.conv1",
    "stem.conv1.norm": "layer0.bn1",
    "stem.conv2.conv": "layer0.conv2",
    "stem.conv2.norm": "layer0.bn2",
    "stem.conv3.conv": "layer0.conv3",
    "stem.conv3.norm": "layer0.bn3",
    "fc": "last_linear",
}
NAMES: Mapping[str, str] = {
    **ENDS,
    **torchvision.UNIT_NAMES,
    "se.fc1": "se_module.fc1",
    "se.fc2": "se_module.fc2",
}


def their_name(key: str, model: nn.Module) -> str:
    """Return Cadene's name of a tensor.

    Example:
        >>> their_name("stage3.unit36.se.fc2.bias", nn.Identity())
        'layer3.35.se_module.fc2.bias'
    """
    return rename(key, NAMES)


ORIGIN = Origin(
    their_name=their_name,
    stem_kind="caffe",
    stride_in="1x1",
    basic="they have a ReLU between the last norm and the block",
)
