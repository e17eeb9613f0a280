"""ResNet-52 of the KTH study of reduction ratios, as the authors' code builds it or as their Table 1 prints it."""

from collections.abc import Sequence

from torch import nn

from senet.models.init import CONVS, glorot_, he_normal_
from senet.models.network import Network
from senet.nn import Gates, Residual, Site, chain, place
from senet.spec import SESpec

__all__ = ["KTHResNet"]


def norm(channels: int) -> nn.BatchNorm2d:
    """Make Keras' batch norm: epsilon 1e-3, and its momentum 0.99 is torch's 0.01."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def conv3x3(inputs: int, outputs: int, *, stride: int) -> nn.Module:
    """Make a 3x3 convolution with bias; at stride 2 TensorFlow pads an even size below and to the right only."""
    if stride == 1:
        return nn.Conv2d(inputs, outputs, 3, padding=1)
    return chain(pad=nn.ZeroPad2d((0, 1, 0, 1)), conv=nn.Conv2d(inputs, outputs, 3, stride=stride))


def unit(inputs: int, width: int, *, stride: int, stage: int, gates: Gates, shortcut_bn: bool) -> Residual:
    """Make one unit: two 3x3 convolutions with norms; a 1x1 convolution with bias where the shape changes."""
    se = gates(Site(stage=stage, channels=width, in_channels=inputs, inner_channels=width))
    change = stride != 1 or inputs != width
    return Residual(
        chain(
            conv1=conv3x3(inputs, width, stride=stride),
            norm1=norm(width),
            act1=nn.ReLU(),
            se_inner=se.get("inner"),
            conv2=conv3x3(width, width, stride=1),
            norm2=norm(width),
        ),
        shortcut=chain(
            conv=nn.Conv2d(inputs, width, 1, stride=stride),
            norm=norm(width) if shortcut_bn else None,
        )
        if change
        else None,
        act=nn.ReLU(),
        gates=se,
    )


class KTHResNet(Network):
    """Three stages of eight units with 16, 32 and 64 channels; every convolution has a bias.

    Args:
        se: designs of blocks; None is the plain network.
        stem_se: gate the stem too, with the ratio of stage 1 and standard slot, as the authors' code does.
        shortcut_bn: put a norm on the projections, as Table 1 reads; the authors' code has none.
        depth: units of every stage.
        num_classes: outputs; 0 gives the features.
        in_chans: channels of the input.

    Source:
        Holm, Lindqvist and Persson, "Investigating the Role of the Reduction Ratio in Squeeze-and-Excitation
        Networks", Table 1; the authors' code nlindqv/RRs-in-SENets (PAPERS section 4).
    """

    def __init__(
        self,
        *,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        stem_se: bool = True,
        shortcut_bn: bool = False,
        depth: int = 8,
        num_classes: int = 10,
        in_chans: int = 3,
    ) -> None:
        gates = place(se, num_stages=3, network="kth_resnet52")
        stem_gate = gates(Site(stage=1, channels=16, in_channels=16, inner_channels=16)) if stem_se else {}
        channels = 16
        body: dict[str, nn.Module] = {
            "stem": chain(
                conv=conv3x3(in_chans, channels, stride=1),
                norm=norm(channels),
                act=nn.ReLU(),
                se=stem_gate.get("standard"),
            )
        }
        for stage, width in enumerate((16, 32, 64), 1):
            units: dict[str, nn.Module] = {}
            for number in range(1, depth + 1):
                stride = 2 if number == 1 and stage > 1 else 1
                units[f"unit{number}"] = unit(
                    channels, width, stride=stride, stage=stage, gates=gates, shortcut_bn=shortcut_bn
                )
                channels = width
            body[f"stage{stage}"] = chain(**units)
        super().__init__(body, num_features=channels, num_classes=num_classes)
        self._start()

    def _start(self) -> None:
        # he_normal (fan_in) on 3x3 convolutions only; Keras' glorot default on shortcuts, SE layers and classifier
        he_normal_(self, mode="fan_in")
        for module in self.modules():
            if isinstance(module, nn.Linear) or (isinstance(module, CONVS) and set(module.kernel_size) == {1}):
                glorot_(module)
