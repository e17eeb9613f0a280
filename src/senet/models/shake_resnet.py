"""Shake-shake ResNet for CIFAR, e.g. 26 2x96d: three stages of units with two branches of 3x3 convolutions.

Letters in shapes: n images, c and d channels, h, w, p and q sizes.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError
from senet.models.convolution import conv
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.shake import shake_unit
from senet.models.stages import Unit, stages
from senet.nn import Gates, Residual, chain, place
from senet.spec import SESpec

__all__ = ["ShakeResNet", "TwoPaths"]


class TwoPaths(nn.Module):
    """A shortcut of two concatenated 1x1 convolutions on subsampled maps, the second shifted by one pixel, and a norm.

    Source:
        Gastaldi, arXiv:1705.07485; xgastaldi/shake-shake.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.path1 = conv(inputs, outputs // 2, 1, stride=stride)
        self.path2 = conv(inputs, outputs - outputs // 2, 1, stride=stride)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d p q"]:
        """Apply both paths; the second one sees the map shifted right and down, with zeros at the border."""
        x = F.relu(x)
        moved = F.pad(x, (1, -1, 1, -1))
        y: Tensor = self.norm(torch.cat([self.path1(x), self.path2(moved)], dim=1))
        return y


def branch(unit: Unit, *, se: Mapping[str, nn.Module]) -> nn.Sequential:
    """Build one branch: ReLU, 3x3, norm, ReLU, 3x3, norm."""
    outputs = unit.outputs
    return chain(
        act1=nn.ReLU(),
        conv1=conv(unit.inputs, outputs, 3, stride=unit.stride),
        norm1=nn.BatchNorm2d(outputs),
        act2=nn.ReLU(),
        se_inner=se.get("inner"),
        conv2=conv(outputs, outputs, 3),
        norm2=nn.BatchNorm2d(outputs),
        se=se.get("standard"),
    )


class ShakeResNet(Network):
    """Shake-Shake d 2xWd: three stages of (d - 2) / 6 units with W, 2W and 4W channels.

    Args:
        depth: layers of the network, d: 8, 14, 20, 26, ...
        width: channels of the first stage, W, an even number.
        se_on: `branch` puts a block at the end of each branch, `sum` one after the mixing.
        forward_noise: `shake` or `even`.
        backward_noise: `shake`, `even` or `keep`.
        se, num_classes, in_chans: as for `senet.create_model`.

    Raises:
        SpecError: if `depth` is not 6n + 2.

    Source:
        Gastaldi, arXiv:1705.07485, its experiments on CIFAR-10; xgastaldi/shake-shake; the position of the block is our
        interpretation.
    """

    def __init__(
        self,
        *,
        depth: int = 26,
        width: int = 96,
        se_on: str = "branch",
        forward_noise: str = "shake",
        backward_noise: str = "shake",
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 10,
        in_chans: int = 3,
    ) -> None:
        if depth < 8 or (depth - 2) % 6:
            raise SpecError(f"depth = {depth} is not 6n + 2; choose one of: 8, 14, 20, 26, 32, ...")
        depths = [(depth - 2) // 6] * 3
        gates = place(se, depths=depths, network=f"shake{depth}_2x{width}d")

        def unit(unit: Unit) -> Residual:
            return shake_unit(
                lambda se: branch(unit, se=se),
                unit.site(unit.outputs),
                shortcut=None
                if unit.inputs == unit.outputs
                else TwoPaths(unit.inputs, unit.outputs, stride=unit.stride),
                act=None,
                gates=gates,
                se_on=se_on,
                forward_noise=forward_noise,
                backward_noise=backward_noise,
            )

        outputs = [width, 2 * width, 4 * width]
        super().__init__(
            {
                "stem": chain(conv=conv(in_chans, 16, 3), norm=nn.BatchNorm2d(16)),
                **stages(unit, inputs=16, outputs=outputs, depths=depths),
                "final": chain(act=nn.ReLU()),
            },
            num_features=outputs[-1],
            num_classes=num_classes,
        )
        he_normal_(self)
