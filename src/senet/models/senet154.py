"""SENet-154, the authors' ILSVRC 2017 entry: a ResNeXt-152 64x4d with four changes."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from senet.models.convolution import conv, conv_norm_act
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.resnet import inner_widths
from senet.models.shortcut import projection
from senet.models.stages import Unit, stages
from senet.nn import Gates, Residual, chain, place
from senet.spec import SESpec

__all__ = ["SENet154"]


def deep_stem(in_chans: int, width: int) -> nn.Sequential:
    """Build the stem: three 3x3 convolutions in place of one 7x7, and a max pool in ceil mode."""
    return chain(
        conv1=conv_norm_act(in_chans, width, 3, stride=2),
        conv2=conv_norm_act(width, width, 3),
        conv3=conv_norm_act(width, 2 * width, 3),
        pool=nn.MaxPool2d(3, 2, ceil_mode=True),
    )


def unit(unit: Unit, *, gates: Gates, widths: Sequence[int], groups: int) -> Residual:
    """Build one unit: a 1x1 to half the width of the grouped 3x3, which has the stride; strided projections are 3x3."""
    width = widths[unit.stage - 1]
    se = gates(unit.site(width))
    return Residual(
        chain(
            conv1=conv(unit.inputs, width // 2, 1),
            norm1=nn.BatchNorm2d(width // 2),
            act1=nn.ReLU(),
            conv2=conv(width // 2, width, 3, stride=unit.stride, groups=groups),
            norm2=nn.BatchNorm2d(width),
            act2=nn.ReLU(),
            se_inner=se.get("inner"),
            conv3=conv(width, unit.outputs, 1),
            norm3=nn.BatchNorm2d(unit.outputs),
        ),
        shortcut=projection(unit, kernel=1 if unit.stride == 1 else 3),
        act=nn.ReLU(),
        gates=se,
    )


class SENet154(Network):
    """SENet-154; `se=SESpec()` adds the blocks of the paper.

    Args:
        depths: units of every stage.
        widths: base width of every stage; a unit outputs 4 times as many channels.
        cardinality: groups of the 3x3 convolutions.
        group_width: channels of one group in stage 1.
        drop: probability of dropping a feature before the classifier.
        se, num_classes, in_chans: as for `senet.create_model`.

    Source:
        Hu et al., arXiv:1709.01507, section 5.1 and appendix; the authors' prototxt.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (3, 8, 36, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        cardinality: int = 64,
        group_width: int = 4,
        drop: float = 0.2,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        gates = place(se, depths=depths, network=f"senet{4 + 3 * sum(depths)}")
        inner = inner_widths(widths, cardinality=cardinality, group_width=group_width)
        make = partial(unit, gates=gates, widths=inner, groups=cardinality)
        super().__init__(
            {
                "stem": deep_stem(in_chans, widths[0]),
                **stages(make, inputs=2 * widths[0], outputs=[4 * width for width in widths], depths=depths),
            },
            num_features=4 * widths[-1],
            num_classes=num_classes,
            drop=drop,
        )
        he_normal_(self)
