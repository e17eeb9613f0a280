"""MobileNet v1: thirteen units of a depthwise and a pointwise convolution."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from senet.models.convolution import conv, conv_norm_act
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.stages import Unit, stages, standard_gate
from senet.nn import Gates, Site, chain, place
from senet.spec import SESpec

__all__ = ["MobileNetV1"]


def separable(unit: Unit, *, gates: Gates) -> nn.Sequential:
    """Build one unit: 3x3 depthwise, norm, ReLU, 1x1 pointwise, norm, ReLU, block."""
    inputs, outputs = unit.inputs, unit.outputs
    return chain(
        conv1=conv(inputs, inputs, 3, stride=unit.stride, groups=inputs),
        norm1=nn.BatchNorm2d(inputs),
        act1=nn.ReLU(),
        conv2=conv(inputs, outputs, 1),
        norm2=nn.BatchNorm2d(outputs),
        act2=nn.ReLU(),
        se=standard_gate(gates, Site(stage=unit.stage, unit=unit.number, channels=outputs, name="mobilenet_v1")),
    )


class MobileNetV1(Network):
    """MobileNet with a block after the ReLU of every pointwise convolution, in the slot `standard`.

    A stage holds the units of one resolution: 112, 56, 28, 14 and 7 pixels for an input of 224.

    Args:
        depths: units of every stage.
        widths: channels of every stage; the paper's width multiplier scales these and the stem.
        stem_width: channels of the stem.
        se, num_classes, in_chans: as for `senet.create_model`.

    Source:
        Howard et al., arXiv:1704.04861, Table 1; SE: the authors' prototxt in hujie-frank/SENet issue 64.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (1, 2, 2, 6, 2),
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        stem_width: int = 32,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        gates = place(se, depths=depths, network="mobilenet_v1")
        super().__init__(
            {
                "stem": conv_norm_act(in_chans, stem_width, 3, stride=2),
                **stages(partial(separable, gates=gates), inputs=stem_width, outputs=widths, depths=depths),
            },
            num_features=widths[-1],
            num_classes=num_classes,
        )
        he_normal_(self)
