"""Parser for Inception modules in the notation of the paper's figures.

`1x1 64, 3x3 96/2V | max/2V` means two parallel branches: a 1x1 convolution with 64 outputs followed by a 3x3 one with
96 outputs, stride 2 and no padding (V, valid); and a 3x3 max pool. Every convolution has a norm and a ReLU.
"""

import re

from torch import nn

from senet.errors import SpecError
from senet.models.convolution import Concat, conv_norm_act
from senet.nn import chain

__all__ = ["branch", "mixed"]

LAYER = re.compile(r"(?:(?P<k>\d+)x(?P<m>\d+) (?P<outputs>\d+)|(?P<pool>max|avg))(?:/(?P<stride>\d+))?(?P<valid>V)?")
EPS = 1e-3


def layer(text: str, inputs: int) -> tuple[nn.Module, int]:
    """Build one layer; return it with its output channels."""
    match = LAYER.fullmatch(text)
    if match is None:
        raise SpecError(f"{text!r} is not a valid layer; write it like '3x3 96/2V', '1x7 64', 'max/2V' or 'avg'.")
    stride, valid = int(match["stride"] or 1), bool(match["valid"])
    if match["pool"] == "max":
        return nn.MaxPool2d(3, stride, padding=0 if valid else 1), inputs
    if match["pool"] == "avg":
        return nn.AvgPool2d(3, stride, padding=0 if valid else 1, count_include_pad=False), inputs
    outputs, kernel = int(match["outputs"]), (int(match["k"]), int(match["m"]))
    return conv_norm_act(inputs, outputs, kernel, stride=stride, valid=valid, eps=EPS), outputs


def branch(text: str, inputs: int) -> tuple[nn.Sequential, int]:
    """Build the layers of one branch, `layer1`, `layer2`, ...; return it with its output channels."""
    parts: dict[str, nn.Module] = {}
    for number, words in enumerate(text.split(", "), 1):
        parts[f"layer{number}"], inputs = layer(words, inputs)
    return chain(**parts), inputs


def mixed(text: str, inputs: int) -> tuple[Concat, int]:
    """Build parallel branches, `branch1`, `branch2`, ...; return them with their total output channels.

    Raises:
        SpecError: if a layer does not parse.

    Example:
        >>> module, channels = mixed("1x1 32 | 1x1 48, 3x3 64 | avg, 1x1 16", inputs=192)
        >>> channels
        112
    """
    made = [branch(words, inputs) for words in text.split(" | ")]
    branches = {f"branch{number}": part for number, (part, _) in enumerate(made, 1)}
    return Concat(**branches), sum(outputs for _, outputs in made)
