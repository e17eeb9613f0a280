"""BN-Inception: ten Inception modules in three stages; two of them halve the map and have three branches, not four.

Letters in shapes: n images, c channels, h, w, p and q sizes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import unknown
from senet.models.convolution import Concat, conv_norm_act
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.stages import standard_gate
from senet.nn import Gates, Site, chain, place
from senet.spec import SESpec

__all__ = ["BN_INCEPTION", "BNInception", "HalvingPool"]

Row = tuple[int, tuple[int, int], tuple[int, int], str, int]

# 1x1, (3x3 reduce, 3x3), (double 3x3 reduce, double 3x3), pool, pool projection; 0 means that the layer is absent
BN_INCEPTION: tuple[tuple[Row, ...], ...] = (
    (
        (64, (64, 64), (64, 96), "avg", 32),  # 3a, 28x28
        (64, (64, 96), (64, 96), "avg", 64),
        (0, (128, 160), (64, 96), "halve", 0),
    ),
    (
        (224, (64, 96), (96, 128), "avg", 128),  # 4a, 14x14
        (192, (96, 128), (96, 128), "avg", 128),
        (160, (128, 160), (128, 160), "avg", 128),
        (96, (128, 192), (160, 192), "avg", 128),
        (0, (128, 192), (192, 256), "halve", 0),
    ),
    (
        (352, (192, 320), (160, 224), "avg", 128),  # 5a, 7x7
        (352, (192, 320), (192, 224), "max", 128),
    ),
)


class HalvingPool(nn.Module):
    """Max pooling with 3x3 windows and stride 2 that matches Caffe's ceil mode for even sizes.

    Odd sizes are first padded below and to the right, so that pooled and convolved maps always have the same size.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c p q"]:
        """Pool."""
        bordered = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), value=float("-inf"))
        return F.max_pool2d(bordered, 3, 2, ceil_mode=True)


POOLS: Mapping[str, Callable[[], nn.Module]] = {
    "avg": partial(nn.AvgPool2d, 3, 1, padding=1),
    "max": partial(nn.MaxPool2d, 3, 1, padding=1),
    "halve": HalvingPool,
}


def module(inputs: int, row: Row) -> tuple[Concat, int]:
    """Build one module; return it with its output channels. With the pool `halve` it has stride 2."""
    one, (reduce3, three), (reduce_double, double), pool, proj = row
    if pool not in POOLS:
        raise unknown("modules: pool", pool, POOLS)
    stride = 2 if pool == "halve" else 1
    concat = Concat(
        branch1=chain(layer1=conv_norm_act(inputs, one, 1, stride=stride)) if one else None,
        branch2=chain(
            layer1=conv_norm_act(inputs, reduce3, 1),
            layer2=conv_norm_act(reduce3, three, 3, stride=stride),
        ),
        branch3=chain(
            layer1=conv_norm_act(inputs, reduce_double, 1),
            layer2=conv_norm_act(reduce_double, double, 3),
            layer3=conv_norm_act(double, double, 3, stride=stride),
        ),
        branch4=chain(
            layer1=POOLS[pool](),
            layer2=conv_norm_act(inputs, proj, 1) if proj else None,
        ),
    )
    return concat, one + three + double + (proj or inputs)


class BNInception(Network):
    """BN-Inception with a block after the concatenation of every module, in the slot `standard`.

    Stage 1 holds the modules 3a to 3c, stage 2 4a to 4e, stage 3 5a and 5b.

    Args:
        modules: rows of every stage in the format of `BN_INCEPTION`.
        se, num_classes, in_chans: as for `senet.create_model`.

    Source:
        Ioffe and Szegedy, arXiv:1502.03167, Figure 5; SE: the authors' SE-BN-Inception prototxt.
    """

    def __init__(
        self,
        *,
        modules: Sequence[Sequence[Row]] = BN_INCEPTION,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        gates = place(se, depths=[len(rows) for rows in modules], network="bn_inception")
        body: dict[str, nn.Module] = {
            "stem": chain(
                conv1=conv_norm_act(in_chans, 64, 7, stride=2),
                pool1=nn.MaxPool2d(3, 2, ceil_mode=True),
                conv2=conv_norm_act(64, 64, 1),
                conv3=conv_norm_act(64, 192, 3),
                pool2=nn.MaxPool2d(3, 2, ceil_mode=True),
            )
        }
        channels = 192
        for stage, rows in enumerate(modules, 1):
            units: dict[str, nn.Module] = {}
            for number, row in enumerate(rows, 1):
                mixed, channels = module(channels, row)
                site = Site(stage=stage, unit=number, channels=channels, name="bn_inception")
                units[f"unit{number}"] = chain(mixed=mixed, se=standard_gate(gates, site))
            body[f"stage{stage}"] = chain(**units)
        super().__init__(body, num_features=channels, num_classes=num_classes)
        he_normal_(self)
