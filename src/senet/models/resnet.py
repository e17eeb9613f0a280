"""ResNet for ImageNet: 7x7 stem, four stages of basic or bottleneck units. One table row of the paper is one call."""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from senet.errors import SpecError
from senet.models.init import he_normal_
from senet.models.network import Network
from senet.nn import Gates, Residual, Site, chain, place
from senet.spec import SESpec

__all__ = ["STEMS", "ResNet", "basic", "bottleneck", "conv", "projection", "stem"]

Stride = Literal["1x1", "3x3"]
STEMS = ("torch", "caffe", "cifar")


def conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Make a bias-free convolution that keeps the size at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)


def projection(inputs: int, outputs: int, *, stride: int) -> nn.Module | None:
    """Make the 1x1 shortcut with its norm; None where the shape stays."""
    if stride == 1 and inputs == outputs:
        return None
    return chain(conv=conv(inputs, outputs, 1, stride=stride), norm=nn.BatchNorm2d(outputs))


def basic(inputs: int, width: int, *, stride: int, stage: int, gates: Gates) -> Residual:
    """Make the unit of ResNet-18/34: two 3x3 convolutions.

    Source:
        He et al., arXiv:1512.03385, Figure 5 left.
    """
    se = gates(Site(stage=stage, channels=width, in_channels=inputs, inner_channels=width))
    return Residual(
        chain(
            conv1=conv(inputs, width, 3, stride=stride),
            norm1=nn.BatchNorm2d(width),
            act1=nn.ReLU(),
            se_inner=se.get("inner"),
            conv2=conv(width, width, 3),
            norm2=nn.BatchNorm2d(width),
        ),
        shortcut=projection(inputs, width, stride=stride),
        act=nn.ReLU(),
        gates=se,
    )


def bottleneck(
    inputs: int, width: int, *, stride: int, stage: int, gates: Gates, stride_in: Stride = "3x3", groups: int = 1
) -> Residual:
    """Make the unit of ResNet-50 and deeper, 1x1 - 3x3 - 1x1 to 4 times the base width; ResNeXt's with groups.

    Args:
        inputs: channels of the input.
        width: channels between the 1x1 convolutions.
        stride: 2 in the first unit of stages 2 to 4.
        stage: from 1.
        gates: where the blocks come from.
        stride_in: which convolution strides; `1x1` is the Caffe original, `3x3` torchvision's version 1.5.
        groups: cardinality of the 3x3 convolution; above 1 the width is that of all groups and the output 2 times it.

    Source:
        He et al., arXiv:1512.03385, Figure 5 right; Xie et al., arXiv:1611.05431.
    """
    outputs = width * (4 if groups == 1 else 2)
    se = gates(Site(stage=stage, channels=outputs, in_channels=inputs, inner_channels=width))
    first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
    return Residual(
        chain(
            conv1=conv(inputs, width, 1, stride=first),
            norm1=nn.BatchNorm2d(width),
            act1=nn.ReLU(),
            conv2=conv(width, width, 3, stride=second, groups=groups),
            norm2=nn.BatchNorm2d(width),
            act2=nn.ReLU(),
            se_inner=se.get("inner"),
            conv3=conv(width, outputs, 1),
            norm3=nn.BatchNorm2d(outputs),
        ),
        shortcut=projection(inputs, outputs, stride=stride),
        act=nn.ReLU(),
        gates=se,
    )


def stem(kind: str, in_chans: int, width: int) -> nn.Module:
    """Make the first layers: `torch` and `caffe` differ in the padding of the max pool, `cifar` keeps the size."""
    if kind not in STEMS:
        raise SpecError(f"stem = {kind!r} is not known; choose one of: {', '.join(STEMS)}.")
    norm, act = nn.BatchNorm2d(width), nn.ReLU()
    if kind == "cifar":
        return chain(conv=conv(in_chans, width, 3), norm=norm, act=act)
    pool = nn.MaxPool2d(3, 2, padding=1) if kind == "torch" else nn.MaxPool2d(3, 2, ceil_mode=True)
    return chain(conv=conv(in_chans, width, 7, stride=2), norm=norm, act=act, pool=pool)


class ResNet(Network):
    """A residual network of four stages (or as many as `depths` has) with any design of blocks in any slot.

    Args:
        depths: units of every stage.
        widths: base width of every stage; a bottleneck gives 4 times as many channels.
        unit: `basic` or `bottleneck`.
        stride_in: of bottlenecks: stride in the first `1x1` (Caffe, as the SENet paper) or in the `3x3`.
        stem_kind: `torch`, `caffe` or `cifar`.
        se: designs of blocks; None is the plain network.
        num_classes: outputs; 0 gives the features.
        in_chans: channels of the input.

    Source:
        He et al., arXiv:1512.03385, Table 1; SE: Hu et al., arXiv:1709.01507, Table 1.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        unit: Literal["basic", "bottleneck"] = "bottleneck",
        stride_in: Stride = "1x1",
        stem_kind: str = "caffe",
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        if len(depths) != len(widths):
            raise SpecError(f"depths = {tuple(depths)} and widths = {tuple(widths)} differ in length; give one each.")
        gates = place(se, num_stages=len(depths), network="this ResNet")
        channels = widths[0]
        body: dict[str, nn.Module] = {"stem": stem(stem_kind, in_chans, channels)}
        for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), 1):
            units: dict[str, nn.Module] = {}
            for number in range(1, depth + 1):
                stride = 2 if number == 1 and stage > 1 else 1
                if unit == "basic":
                    units[f"unit{number}"] = basic(channels, width, stride=stride, stage=stage, gates=gates)
                    channels = width
                else:
                    units[f"unit{number}"] = bottleneck(
                        channels, width, stride=stride, stage=stage, gates=gates, stride_in=stride_in
                    )
                    channels = width * 4
            body[f"stage{stage}"] = chain(**units)
        super().__init__(body, num_features=channels, num_classes=num_classes)
        he_normal_(self)
