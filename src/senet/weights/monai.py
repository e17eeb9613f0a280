"""Tensor names of MONAI's 2-D SENet family: `SEResNet50`, `SEResNext50`, their deeper versions, and `SENet154`."""

from collections.abc import Mapping

from torch import nn

from senet.weights import cadene
from senet.weights.origin import Origin, rename

__all__ = ["ORIGIN", "their_name"]

NAMES: Mapping[str, str] = {
    **cadene.ENDS,
    "branch.conv1": "conv1.conv",
    "branch.norm1": "conv1.adn.N",
    "branch.conv2": "conv2.conv",
    "branch.norm2": "conv2.adn.N",
    "branch.conv3": "conv3.conv",
    "branch.norm3": "conv3.adn.N",
    "shortcut.conv": "project.conv",
    "shortcut.norm": "project.adn.N",
    "se.fc1": "se_layer.fc.0",
    "se.fc2": "se_layer.fc.2",
}


def their_name(key: str, model: nn.Module) -> str:
    """Return MONAI's name of a tensor.

    Example:
        >>> their_name("stage1.unit1.branch.norm2.weight", nn.Identity())
        'layer1.0.conv2.adn.N.weight'
    """
    return rename(key, NAMES)


ORIGIN = Origin(their_name=their_name, stem_kind="caffe", stride_in="1x1", basic="it has bottlenecks only", linear=True)
