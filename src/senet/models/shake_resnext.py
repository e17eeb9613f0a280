"""Shake-even ResNeXt for CIFAR-100, e.g. 29 2x4x64d as published: units with two branches of grouped bottlenecks."""

from collections.abc import Mapping, Sequence

from torch import nn

from senet.errors import SpecError
from senet.models.convolution import conv
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.resnet import stem
from senet.models.shake import shake_unit
from senet.models.shortcut import projection
from senet.models.stages import Unit, stages
from senet.nn import Gates, Residual, chain, place
from senet.spec import SESpec

__all__ = ["ShakeResNeXt"]

OUTPUTS = (256, 512, 1024)


def branch(unit: Unit, *, width: int, groups: int, se: Mapping[str, nn.Module]) -> nn.Sequential:
    """Build one branch: 1x1, grouped 3x3, 1x1, each with a norm."""
    return chain(
        conv1=conv(unit.inputs, width, 1),
        norm1=nn.BatchNorm2d(width),
        act1=nn.ReLU(),
        conv2=conv(width, width, 3, stride=unit.stride, groups=groups),
        norm2=nn.BatchNorm2d(width),
        act2=nn.ReLU(),
        se_inner=se.get("inner"),
        conv3=conv(width, unit.outputs, 1),
        norm3=nn.BatchNorm2d(unit.outputs),
        se=se.get("standard"),
    )


class ShakeResNeXt(Network):
    """Shake-Even d 2xGxWd: three stages of (d - 2) / 9 units with 256, 512 and 1024 channels.

    Args:
        depth: layers of the network, d: 11, 20, 29, ...
        groups: groups of the 3x3 convolutions, G.
        width: channels of one group in the first stage, W; twice and four times as many in the others.
        se_on: `branch` puts a block at the end of each branch, `sum` one after the mixing.
        forward_noise: `shake` or `even`.
        backward_noise: `shake`, `even` or `keep`.
        se, num_classes, in_chans: as for `senet.create_model`.

    Raises:
        SpecError: if `depth` is not 9n + 2.

    Source:
        Gastaldi, arXiv:1705.07485, its experiments on CIFAR-100; units: Xie et al., arXiv:1611.05431, Figure 3(c);
        the position of the block is our interpretation.
    """

    def __init__(
        self,
        *,
        depth: int = 29,
        groups: int = 4,
        width: int = 64,
        se_on: str = "branch",
        forward_noise: str = "shake",
        backward_noise: str = "even",
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 100,
        in_chans: int = 3,
    ) -> None:
        if depth < 11 or (depth - 2) % 9:
            raise SpecError(f"depth = {depth} is not 9n + 2; choose one of: 11, 20, 29, 38, ...")
        depths = [(depth - 2) // 9] * 3
        gates = place(se, depths=depths, network=f"shake{depth}_2x{groups}x{width}d")

        def unit(unit: Unit) -> Residual:
            inner = groups * width * 2 ** (unit.stage - 1)
            return shake_unit(
                lambda se: branch(unit, width=inner, groups=groups, se=se),
                unit.site(inner),
                shortcut=projection(unit),
                act=nn.ReLU(),
                gates=gates,
                se_on=se_on,
                forward_noise=forward_noise,
                backward_noise=backward_noise,
            )

        super().__init__(
            {
                "stem": stem("cifar", in_chans, 64),
                **stages(unit, inputs=64, outputs=OUTPUTS, depths=depths),
            },
            num_features=OUTPUTS[-1],
            num_classes=num_classes,
        )
        he_normal_(self)
