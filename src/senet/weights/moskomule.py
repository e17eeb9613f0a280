"""Tensor names of moskomule's senet.pytorch and the many copies of its block: two linear layers without biases."""

from collections.abc import Mapping

from torch import nn

from senet.weights import torchvision
from senet.weights.origin import Origin, rename

__all__ = ["ORIGIN", "their_name"]

NAMES: Mapping[str, str] = {**torchvision.NAMES, "se.fc1": "se.fc.0", "se.fc2": "se.fc.2"}


def their_name(key: str, model: nn.Module) -> str:
    """Return moskomule's name of a tensor.

    The networks for CIFAR have projections: build `resnet20` with the option `shortcut="B"`.

    Example:
        >>> their_name("stage1.unit1.se.fc2.weight", nn.Identity())
        'layer1.0.se.fc.2.weight'
    """
    return rename(key, NAMES)


ORIGIN = Origin(their_name=their_name, stem_kind="torch", stride_in="3x3", linear=True, biases=False)
