"""ResNet-52 of the KTH study of reduction ratios, as in the authors' code or as in their Table 1.

Letters in shapes: n images, c channels, h, w, p and q sizes.
"""

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.models.initialization import glorot_, he_normal_
from senet.models.network import Network
from senet.models.stages import Unit, stages
from senet.nn import Gates, Residual, Site, chain, place
from senet.nn.layers import CONVS
from senet.spec import SESpec

__all__ = ["KTHResNet"]


def norm(channels: int) -> nn.BatchNorm2d:
    """Build a batch norm with the defaults of Keras: epsilon 1e-3, momentum 0.99 (0.01 in torch's convention)."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class SamePad(nn.Module):
    """Pad a map for a 3x3 convolution of stride 2: below and to the right for even sizes, on all sides for odd ones."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c p q"]:
        """Pad with zeros."""
        return F.pad(x, (x.shape[3] % 2, 1, x.shape[2] % 2, 1))


def conv3x3(inputs: int, outputs: int, *, stride: int) -> nn.Module:
    """Build a 3x3 convolution with bias and TensorFlow's `same` padding."""
    if stride == 1:
        return nn.Conv2d(inputs, outputs, 3, padding=1)
    return chain(pad=SamePad(), conv=nn.Conv2d(inputs, outputs, 3, stride=stride))


def unit(unit: Unit, *, gates: Gates, shortcut_bn: bool) -> Residual:
    """Build one unit: two 3x3 convolutions with norms; a 1x1 convolution with bias if the shape changes."""
    outputs, se = unit.outputs, gates(unit.site(unit.outputs))
    shortcut = None
    if unit.changes:
        conv = nn.Conv2d(unit.inputs, outputs, 1, stride=unit.stride)
        shortcut = chain(conv=conv, norm=norm(outputs) if shortcut_bn else None)
    return Residual(
        chain(
            conv1=conv3x3(unit.inputs, outputs, stride=unit.stride),
            norm1=norm(outputs),
            act1=nn.ReLU(),
            se_inner=se.get("inner"),
            conv2=conv3x3(outputs, outputs, stride=1),
            norm2=norm(outputs),
        ),
        shortcut=shortcut,
        act=nn.ReLU(),
        gates=se,
    )


class KTHResNet(Network):
    """Three stages of eight units with 16, 32 and 64 channels; every convolution has a bias.

    Args:
        se: the design; None for the plain network.
        stem_se: add a block to the stem, with the first ratio of stage 1 and the slot `standard`, as in the authors'
            code.
        shortcut_bn: add a norm to the projections, as in Table 1; the authors' code has none.
        depths: units of every stage.
        widths: channels of every stage.
        num_classes: outputs; 0 returns the features.
        in_chans: channels of the input.

    Source:
        Holm, Lindqvist and Persson, "Investigating the Role of the Reduction Ratio in Squeeze-and-Excitation
        Networks", Table 1; the authors' code nlindqv/RRs-in-SENets.
    """

    def __init__(
        self,
        *,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        stem_se: bool = True,
        shortcut_bn: bool = False,
        depths: Sequence[int] = (8, 8, 8),
        widths: Sequence[int] = (16, 32, 64),
        num_classes: int = 10,
        in_chans: int = 3,
    ) -> None:
        gates = place(se, depths=depths, network=f"kth_resnet{1 + len(depths) + 2 * sum(depths)}")
        width = widths[0]
        stem_site = Site(stage=1, unit=1, channels=width, in_channels=width, inner_channels=width)
        stem = chain(
            conv=conv3x3(in_chans, width, stride=1),
            norm=norm(width),
            act=nn.ReLU(),
            se=gates(stem_site).get("standard") if stem_se else None,
        )
        make = partial(unit, gates=gates, shortcut_bn=shortcut_bn)
        super().__init__(
            {"stem": stem, **stages(make, inputs=width, outputs=widths, depths=depths)},
            num_features=widths[-1],
            num_classes=num_classes,
        )
        self._initialize()

    def _initialize(self) -> None:
        # he_normal (fan_in) on 3x3 convolutions only; Keras' glorot default on shortcuts, SE layers and classifier
        he_normal_(self, mode="fan_in")
        for module in self.modules():
            if isinstance(module, nn.Linear) or (isinstance(module, CONVS) and set(module.kernel_size) == {1}):
                glorot_(module)
