"""ResNet for CIFAR: 3x3 stem, three stages of n basic units with 16, 32 and 64 channels; depth 6n + 2."""

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.models.init import he_normal_
from senet.models.network import Network
from senet.models.resnet import basic, stem
from senet.nn import Gates, chain, place
from senet.spec import SESpec

__all__ = ["CifarResNet", "PadShortcut"]


class PadShortcut(nn.Module):
    """Take every second pixel and pad the channels with zeros on both sides: a shortcut without parameters.

    Source:
        He et al., arXiv:1512.03385, option A.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.low = (outputs - inputs) // 2
        self.high = outputs - inputs - self.low

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d p q"]:
        """Subsample and pad."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.low, self.high))


class CifarResNet(Network):
    """The post-activation ResNet-20/32/44/56/110 of the original paper.

    Args:
        depth: units of every stage, n; the network has 6n + 2 layers.
        widths: channels of the stages.
        shortcut: `A` pads with zeros where the shape changes (the paper's choice), `B` is a 1x1 projection.
        se: designs of blocks; None is the plain network.
        num_classes: outputs; 0 gives the features.
        in_chans: channels of the input.

    Source:
        He et al., arXiv:1512.03385, section 4.2.
    """

    def __init__(
        self,
        *,
        depth: int = 3,
        widths: Sequence[int] = (16, 32, 64),
        shortcut: Literal["A", "B"] = "A",
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 10,
        in_chans: int = 3,
    ) -> None:
        gates = place(se, num_stages=len(widths), network="this ResNet")
        channels = widths[0]
        body: dict[str, nn.Module] = {"stem": stem("cifar", in_chans, channels)}
        for stage, width in enumerate(widths, 1):
            units: dict[str, nn.Module] = {}
            for number in range(1, depth + 1):
                stride = 2 if number == 1 and stage > 1 else 1
                unit = basic(channels, width, stride=stride, stage=stage, gates=gates)
                if shortcut == "A" and unit.shortcut is not None:
                    unit.shortcut = PadShortcut(channels, width, stride=stride)
                units[f"unit{number}"] = unit
                channels = width
            body[f"stage{stage}"] = chain(**units)
        super().__init__(body, num_features=channels, num_classes=num_classes)
        he_normal_(self)
