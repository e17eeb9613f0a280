"""VGG with batch norm: five stages of 3x3 convolutions with a max pool each, and three linear layers.

Letters in shapes: n images, c channels, h and w sizes.
"""

from collections.abc import Sequence

import torch.fx
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.stages import standard_gate
from senet.nn import Gates, Site, chain, place
from senet.spec import SESpec

__all__ = ["VGG", "VGG16", "Resize"]

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def resize(x: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n c s s"]:
    """Resize a map by adaptive average pooling; a map of the right size is returned unchanged.

    The backward pass of adaptive pooling has no deterministic CUDA kernel, so the usual size avoids it.
    """
    return x if x.shape[2:] == (side, side) else F.adaptive_avg_pool2d(x, side)


torch.fx.wrap("resize")  # one node of a traced graph, as its result depends on the size


class Resize(nn.Module):
    """Resize a map to the side that the following linear layer expects."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c s s"]:
        """Resize."""
        return resize(x, self.side)


def stage_of_convs(inputs: int, widths: Sequence[int], *, stage: int, gates: Gates, network: str) -> nn.Sequential:
    """Build one stage: convolutions with bias, norm, ReLU and block, then a max pool."""
    parts: dict[str, nn.Module | None] = {}
    for number, width in enumerate(widths, 1):
        site = Site(stage=stage, unit=number, channels=width, name=f"{network} conv{stage}_{number}")
        parts |= {
            f"conv{number}": nn.Conv2d(inputs, width, 3, padding=1),
            f"norm{number}": nn.BatchNorm2d(width),
            f"act{number}": nn.ReLU(),
            f"se{number}": standard_gate(gates, site),
        }
        inputs = width
    return chain(**parts, pool=nn.MaxPool2d(2))


class VGG(Network):
    """VGG-16 with batch norm, or a variant with other stages; every stage ends with a max pool that halves the map.

    A block sits after the ReLU of every convolution, in the slot `standard`.

    Args:
        widths: output channels of the convolutions of every stage.
        hidden: width of the two hidden linear layers.
        image_size: side of the input [pixels] for which the first linear layer is built (a 7x7 map for 224); maps of
            other sizes are resized by adaptive average pooling.
        se, num_classes, in_chans: as for `senet.create_model`.

    Source:
        Simonyan and Zisserman, arXiv:1409.1556, Table 1 D; norms and SE: Hu et al., arXiv:1709.01507, sections 3.3
        and 5.1.
    """

    def __init__(
        self,
        *,
        widths: Sequence[Sequence[int]] = VGG16,
        hidden: int = 4096,
        image_size: int = 224,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        network = f"vgg{sum(map(len, widths)) + 3}_bn"
        gates = place(se, depths=[len(row) for row in widths], network=network)
        side = max(1, image_size // 2 ** len(widths))
        body: dict[str, nn.Module] = {}
        inputs = in_chans
        for stage, row in enumerate(widths, 1):
            body[f"stage{stage}"] = stage_of_convs(inputs, row, stage=stage, gates=gates, network=network)
            inputs = row[-1]
        super().__init__(
            body,
            num_features=hidden,
            num_classes=num_classes,
            pool=chain(
                resize=Resize(side),
                flatten=nn.Flatten(),
                fc1=nn.Linear(inputs * side**2, hidden),
                act1=nn.ReLU(),
                drop1=nn.Dropout(0.5),
                fc2=nn.Linear(hidden, hidden),
                act2=nn.ReLU(),
            ),
            drop=0.5,
        )
        he_normal_(self)
