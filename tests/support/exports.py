"""A small network for tests of exported files, and one export of it."""

from dataclasses import dataclass

from torch import nn

import senet
from senet.exporting import Exported
from senet.exporting.randomized import randomize

SPEC = senet.SESpec(reduction=4)
ORIGIN = {"name": "resnet8", "se": SPEC, "in_chans": 1, "image_size": 8}


def network() -> nn.Module:
    model = senet.create_model("resnet8", se=SPEC, in_chans=1, num_classes=10).eval()
    randomize(model)  # a fresh network has no biases that could be wrong
    return model


@dataclass
class Done:
    model: nn.Module
    report: Exported
