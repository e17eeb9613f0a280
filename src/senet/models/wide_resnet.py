"""Wide ResNet for CIFAR: pre-activation units k times as wide; WRN-d-k has d layers."""

from collections.abc import Sequence

from torch import nn

from senet.errors import SpecError
from senet.models.convolution import conv
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.preact_resnet import preact_basic
from senet.models.stages import Unit, stages
from senet.nn import Gates, Residual, chain, place
from senet.spec import SESpec

__all__ = ["WideResNet"]


class WideResNet(Network):
    """WRN-d-k: three stages of (d - 4) / 6 units with 16k, 32k and 64k channels; without dropout.

    Units that change the number of channels share their first norm and ReLU with the shortcut, a 1x1 projection.

    Args:
        depth: layers of the network, d: 10, 16, 22, 28, 40, ...
        width: widening factor, k.
        se, num_classes, in_chans: as for `senet.create_model`.

    Raises:
        SpecError: if `depth` is not 6n + 4.

    Source:
        Zagoruyko and Komodakis, arXiv:1605.07146, Table 1; szagoruyko/wide-residual-networks.

    Example:
        >>> WideResNet(depth=10, width=2).num_features
        128
    """

    def __init__(
        self,
        *,
        depth: int = 16,
        width: int = 8,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 10,
        in_chans: int = 3,
    ) -> None:
        if depth < 10 or (depth - 4) % 6:
            raise SpecError(f"depth = {depth} is not 6n + 4; choose one of: 10, 16, 22, 28, 34, 40, ...")
        depths = [(depth - 4) // 6] * 3
        gates = place(se, depths=depths, network=f"wrn{depth}_{width}")

        def unit(unit: Unit) -> Residual:
            return preact_basic(unit, gates=gates, shared=unit.inputs != unit.outputs)

        outputs = [16 * width, 32 * width, 64 * width]
        super().__init__(
            {
                "stem": chain(conv=conv(in_chans, 16, 3)),
                **stages(unit, inputs=16, outputs=outputs, depths=depths),
                "final": chain(norm=nn.BatchNorm2d(outputs[-1]), act=nn.ReLU()),
            },
            num_features=outputs[-1],
            num_classes=num_classes,
        )
        he_normal_(self)
