"""ShuffleNet v1: units of grouped 1x1 convolutions with a channel shuffle between them.

Letters in shapes: n images, c and d channels, h, w, p and q sizes.
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError
from senet.models.convolution import conv, conv_norm_act
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.stages import Unit, stages, standard_gate
from senet.nn import Gates, Residual, Site, chain, place
from senet.spec import SESpec

__all__ = ["Shuffle", "ShuffleNetV1", "Widening"]


class Shuffle(nn.Module):
    """Channel shuffle: interleave the channels of the groups, the first of each, then the second, and so on.

    Source:
        Zhang et al., arXiv:1707.01083, section 3.1.

    Example:
        >>> Shuffle(3)(torch.arange(6.0).reshape(1, 6, 1, 1)).flatten().tolist()
        [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Reorder the channels."""
        n, c, h, w = x.shape
        return x.reshape(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Widening(nn.Module):
    """A unit that concatenates its branch and the average-pooled input: `relu([shortcut(x), se(branch(x))])`.

    Source:
        Zhang et al., arXiv:1707.01083, Figure 2(c).
    """

    def __init__(self, branch: nn.Module, *, se: nn.Module | None) -> None:
        super().__init__()
        self.branch = branch
        self.se = se
        self.shortcut = nn.AvgPool2d(3, 2, padding=1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d p q"]:
        """Apply the unit."""
        y = self.branch(x)
        if self.se is not None:
            y = self.se(y)
        return F.relu(torch.cat([self.shortcut(x), y], dim=1))


def unit(unit: Unit, *, gates: Gates, groups: int) -> nn.Module:
    """Build one unit: grouped 1x1 to a quarter of the channels, shuffle, 3x3 depthwise, grouped 1x1.

    The first 1x1 of the network is not grouped, as its input has too few channels.
    """
    width, halves = unit.outputs // 4, unit.stride == 2
    new = unit.outputs - unit.inputs if halves else unit.outputs
    se = standard_gate(gates, Site(stage=unit.stage, unit=unit.number, channels=new, name="shufflenet_v1"))
    branch = chain(
        conv1=conv(unit.inputs, width, 1, groups=1 if unit.stage == 1 and halves else groups),
        norm1=nn.BatchNorm2d(width),
        act1=nn.ReLU(),
        shuffle=Shuffle(groups),
        conv2=conv(width, width, 3, stride=unit.stride, groups=width),
        norm2=nn.BatchNorm2d(width),
        conv3=conv(width, new, 1, groups=groups),
        norm3=nn.BatchNorm2d(new),
    )
    if halves:
        return Widening(branch, se=se)
    return Residual(branch, act=nn.ReLU(), gates={"standard": se} if se else None)


class ShuffleNetV1(Network):
    """ShuffleNet 1x with 3 groups; a block sits on the branch after its last norm, in the slot `standard`.

    The three stages are the paper's Stage2 to Stage4.

    Args:
        depths: units of every stage; the first of each halves the map.
        widths: channels of every stage, increasing multiples of 4 `groups` that differ by multiples of `groups`. The
            paper has (200, 400, 800) for 2 groups and (272, 544, 1088) for 4.
        groups: groups of the 1x1 convolutions.
        stem_width: channels of the stem.
        se, num_classes, in_chans: as for `senet.create_model`.

    Raises:
        SpecError: if a width does not fit the groups.

    Source:
        Zhang et al., arXiv:1707.01083, Table 1; megvii's ShuffleNetV1; the position of the block is our interpretation.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (4, 8, 4),
        widths: Sequence[int] = (240, 480, 960),
        groups: int = 3,
        stem_width: int = 24,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        for before, width in zip((stem_width, *widths), widths, strict=False):
            if width <= before or width % (4 * groups) or (width - before) % groups:
                raise SpecError(
                    f"widths = {tuple(widths)}: {width} after {before} does not split into {groups} groups; "
                    f"use increasing multiples of {4 * groups} that differ by multiples of {groups}."
                )
        gates = place(se, depths=depths, network="shufflenet_v1")
        make = partial(unit, gates=gates, groups=groups)
        super().__init__(
            {
                "stem": chain(
                    **dict(conv_norm_act(in_chans, stem_width, 3, stride=2).named_children()),
                    pool=nn.MaxPool2d(3, 2, padding=1),
                ),
                **stages(make, inputs=stem_width, outputs=widths, depths=depths, first_stride=2),
            },
            num_features=widths[-1],
            num_classes=num_classes,
        )
        he_normal_(self)
