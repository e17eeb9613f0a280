"""ResNet and ResNeXt for ImageNet: 7x7 stem and four stages of basic or bottleneck units."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from senet.errors import SpecError, unknown
from senet.models.convolution import conv
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.shortcut import Shortcut, projection
from senet.models.stages import MakeUnit, Unit, stages
from senet.nn import Gates, Residual, chain, place
from senet.spec import SESpec

__all__ = ["STEMS", "STRIDES", "UNITS", "ResNet", "basic", "bottleneck", "inner_widths", "stem"]

STEMS = ("torch", "caffe", "cifar")
STRIDES = ("1x1", "3x3")
UNITS = ("basic", "bottleneck")


def basic(unit: Unit, *, gates: Gates, shortcut: Shortcut = projection) -> Residual:
    """Build the unit of ResNet-18/34: two 3x3 convolutions.

    Source:
        He et al., arXiv:1512.03385, Figure 5 left.
    """
    outputs, se = unit.outputs, gates(unit.site(unit.outputs))
    return Residual(
        chain(
            conv1=conv(unit.inputs, outputs, 3, stride=unit.stride),
            norm1=nn.BatchNorm2d(outputs),
            act1=nn.ReLU(),
            se_inner=se.get("inner"),
            conv2=conv(outputs, outputs, 3),
            norm2=nn.BatchNorm2d(outputs),
        ),
        shortcut=shortcut(unit),
        act=nn.ReLU(),
        gates=se,
    )


def bottleneck(unit: Unit, *, gates: Gates, widths: Sequence[int], groups: int = 1, stride_in: str = "3x3") -> Residual:
    """Build the unit of ResNet-50 and deeper, 1x1 - 3x3 - 1x1; with groups, that of ResNeXt.

    `widths` are the channels between the 1x1 convolutions, for every stage; `stride_in` is the convolution with the
    stride: `1x1` in the Caffe original, `3x3` in ResNeXt and torchvision (v1.5).

    Source:
        He et al., arXiv:1512.03385, Figure 5 right; Xie et al., arXiv:1611.05431, Figure 3(c).
    """
    width, outputs = widths[unit.stage - 1], unit.outputs
    se = gates(unit.site(width))
    first, second = (unit.stride, 1) if stride_in == "1x1" else (1, unit.stride)
    return Residual(
        chain(
            conv1=conv(unit.inputs, width, 1, stride=first),
            norm1=nn.BatchNorm2d(width),
            act1=nn.ReLU(),
            conv2=conv(width, width, 3, stride=second, groups=groups),
            norm2=nn.BatchNorm2d(width),
            act2=nn.ReLU(),
            se_inner=se.get("inner"),
            conv3=conv(width, outputs, 1),
            norm3=nn.BatchNorm2d(outputs),
        ),
        shortcut=projection(unit),
        act=nn.ReLU(),
        gates=se,
    )


def inner_widths(widths: Sequence[int], *, cardinality: int, group_width: int) -> tuple[int, ...]:
    """Return the channels of the 3x3 convolutions: `cardinality` groups, `group_width` wide in the first stage.

    Example:
        >>> inner_widths((64, 128, 256, 512), cardinality=32, group_width=4)
        (128, 256, 512, 1024)
    """
    return tuple(cardinality * (group_width * width // widths[0]) for width in widths)


def stem(kind: str, in_chans: int, width: int) -> nn.Module:
    """Build the stem: `torch` and `caffe` differ in the padding of the max pool, `cifar` keeps the size."""
    if kind not in STEMS:
        raise unknown("stem_kind", kind, STEMS)
    norm, act = nn.BatchNorm2d(width), nn.ReLU()
    if kind == "cifar":
        return chain(conv=conv(in_chans, width, 3), norm=norm, act=act)
    pool = nn.MaxPool2d(3, 2, padding=1) if kind == "torch" else nn.MaxPool2d(3, 2, ceil_mode=True)
    return chain(conv=conv(in_chans, width, 7, stride=2), norm=norm, act=act, pool=pool)


class ResNet(Network):
    """A residual network with one stage for each entry of `depths` and blocks in any slot.

    Args:
        depths: units of every stage.
        widths: base width of every stage; a bottleneck outputs 4 times as many channels.
        unit: `basic` or `bottleneck`.
        cardinality: groups of the 3x3 convolutions of bottlenecks, 32 in ResNeXt 32x4d.
        group_width: channels of one group in stage 1, 4 in ResNeXt 32x4d; None is the base width, as in ResNet.
        stride_in: convolution of bottlenecks with the stride: the first `1x1` (Caffe and the SENet paper) or the `3x3`.
        stem_kind: `torch`, `caffe` or `cifar`.
        se, num_classes, in_chans: as for `senet.create_model`.

    Source:
        He et al., arXiv:1512.03385, Table 1; Xie et al., arXiv:1611.05431, Table 1; SE: Hu et al.,
        arXiv:1709.01507, Table 1.

    Example:
        >>> ResNet(depths=(1, 2), widths=(16, 32), cardinality=4, group_width=2, num_classes=10).num_features
        128
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        unit: str = "bottleneck",
        cardinality: int = 1,
        group_width: int | None = None,
        stride_in: str = "1x1",
        stem_kind: str = "caffe",
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        if unit not in UNITS:
            raise unknown("unit", unit, UNITS)
        if stride_in not in STRIDES:
            raise unknown("stride_in", stride_in, STRIDES)
        grouped = cardinality != 1 or group_width is not None
        if unit == "basic" and grouped:
            raise SpecError(f"cardinality = {cardinality} does not fit unit = 'basic'; choose 'bottleneck'.")
        group_width = widths[0] if group_width is None else group_width
        layers = 2 + sum(depths) * (2 if unit == "basic" else 3)
        name = f"resnext{layers}_{cardinality}x{group_width}d" if grouped else f"resnet{layers}"
        gates = place(se, depths=depths, network=name)
        make: MakeUnit
        if unit == "basic":
            make, outputs = partial(basic, gates=gates), tuple(widths)
        else:
            inner = inner_widths(widths, cardinality=cardinality, group_width=group_width)
            make = partial(bottleneck, gates=gates, widths=inner, groups=cardinality, stride_in=stride_in)
            outputs = tuple(4 * width for width in widths)
        super().__init__(
            {
                "stem": stem(stem_kind, in_chans, widths[0]),
                **stages(make, inputs=widths[0], outputs=outputs, depths=depths),
            },
            num_features=outputs[-1],
            num_classes=num_classes,
        )
        he_normal_(self)
