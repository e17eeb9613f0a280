"""ResNet for CIFAR: 3x3 stem and three stages of n basic units with 16, 32 and 64 channels; 6n + 2 layers."""

from collections.abc import Sequence
from functools import partial

from senet.errors import unknown
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.resnet import basic, stem
from senet.models.shortcut import SHORTCUTS
from senet.models.stages import stages
from senet.nn import Gates, place
from senet.spec import SESpec

__all__ = ["CifarResNet"]


class CifarResNet(Network):
    """The post-activation ResNet-20/32/44/56/110 of the original paper.

    Args:
        depths: units of every stage; n in each make 6n + 2 layers.
        widths: channels of every stage.
        shortcut: where the shape changes, `A` pads with zeros (as in the paper) and `B` is a 1x1 projection.
        se, num_classes, in_chans: as for `senet.create_model`.

    Source:
        He et al., arXiv:1512.03385, section 4.2.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (3, 3, 3),
        widths: Sequence[int] = (16, 32, 64),
        shortcut: str = "A",
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 10,
        in_chans: int = 3,
    ) -> None:
        if shortcut not in SHORTCUTS:
            raise unknown("shortcut", shortcut, SHORTCUTS)
        gates = place(se, depths=depths, network=f"resnet{2 + 2 * sum(depths)}")
        unit = partial(basic, gates=gates, shortcut=SHORTCUTS[shortcut])
        super().__init__(
            {
                "stem": stem("cifar", in_chans, widths[0]),
                **stages(unit, inputs=widths[0], outputs=widths, depths=depths),
            },
            num_features=widths[-1],
            num_classes=num_classes,
        )
        he_normal_(self)
