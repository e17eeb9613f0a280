"""Pre-activation ResNet for CIFAR: norm and ReLU before every convolution, none after the sum."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from senet.errors import unknown
from senet.models.convolution import conv
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.models.shortcut import PREACT_SHORTCUTS, Shortcut, bare_projection
from senet.models.stages import Unit, stages
from senet.nn import Gates, Residual, chain, place
from senet.spec import SESpec

__all__ = ["PreActResNet", "preact_basic", "preact_bottleneck"]


def norm_act(channels: int) -> dict[str, nn.Module]:
    """Build the first norm and ReLU of a unit."""
    return {"norm1": nn.BatchNorm2d(channels), "act1": nn.ReLU()}


def preact_basic(unit: Unit, *, gates: Gates, shared: bool, shortcut: Shortcut = bare_projection) -> Residual:
    """Build a basic unit: two 3x3 convolutions, each after a norm and a ReLU.

    `shared` applies the first norm and ReLU before the shortcut as well.

    Source:
        He et al., arXiv:1603.05027, Figure 4(e) and appendix.
    """
    outputs, se = unit.outputs, gates(unit.site(unit.outputs))
    return Residual(
        chain(
            **({} if shared else norm_act(unit.inputs)),
            conv1=conv(unit.inputs, outputs, 3, stride=unit.stride),
            norm2=nn.BatchNorm2d(outputs),
            act2=nn.ReLU(),
            se_inner=se.get("inner"),
            conv2=conv(outputs, outputs, 3),
        ),
        head=chain(**norm_act(unit.inputs)) if shared else None,
        shortcut=shortcut(unit),
        gates=se,
    )


def preact_bottleneck(unit: Unit, *, gates: Gates, shared: bool, shortcut: Shortcut = bare_projection) -> Residual:
    """Build a bottleneck unit, 1x1 - 3x3 - 1x1, with the stride in the first one. Arguments as in `preact_basic`.

    Source:
        He et al., arXiv:1603.05027; KaimingHe/resnet-1k-layers.
    """
    width = unit.outputs // 4
    se = gates(unit.site(width))
    return Residual(
        chain(
            **({} if shared else norm_act(unit.inputs)),
            conv1=conv(unit.inputs, width, 1, stride=unit.stride),
            norm2=nn.BatchNorm2d(width),
            act2=nn.ReLU(),
            conv2=conv(width, width, 3),
            norm3=nn.BatchNorm2d(width),
            act3=nn.ReLU(),
            se_inner=se.get("inner"),
            conv3=conv(width, unit.outputs, 1),
        ),
        head=chain(**norm_act(unit.inputs)) if shared else None,
        shortcut=shortcut(unit),
        gates=se,
    )


UNITS = {"basic": preact_basic, "bottleneck": preact_bottleneck}


class PreActResNet(Network):
    """Pre-activation ResNet-110 (basic units) or ResNet-164 (bottlenecks): three stages of eighteen units.

    The first unit of every stage shares its first norm and ReLU with the shortcut.

    Args:
        depths: units of every stage; n in each make 6n + 2 layers, 9n + 2 with bottlenecks.
        widths: base width of every stage; a bottleneck outputs 4 times as many channels.
        unit: `basic` or `bottleneck`.
        shortcut: where the shape changes, `B` is a 1x1 projection and `A` pads with zeros.
        se, num_classes, in_chans: as for `senet.create_model`.

    Source:
        He et al., arXiv:1603.05027, Table 2; fb.resnet.torch and KaimingHe/resnet-1k-layers.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = (18, 18, 18),
        widths: Sequence[int] = (16, 32, 64),
        unit: str = "basic",
        shortcut: str = "B",
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 10,
        in_chans: int = 3,
    ) -> None:
        if unit not in UNITS:
            raise unknown("unit", unit, UNITS)
        if shortcut not in PREACT_SHORTCUTS:
            raise unknown("shortcut", shortcut, PREACT_SHORTCUTS)
        convs, expansion = (2, 1) if unit == "basic" else (3, 4)
        gates = place(se, depths=depths, network=f"preact_resnet{2 + convs * sum(depths)}")
        make = partial(UNITS[unit], gates=gates, shortcut=PREACT_SHORTCUTS[shortcut])
        outputs = [expansion * width for width in widths]
        super().__init__(
            {
                "stem": chain(conv=conv(in_chans, widths[0], 3)),
                **stages(
                    partial(make, shared=False),
                    first=partial(make, shared=True),
                    inputs=widths[0],
                    outputs=outputs,
                    depths=depths,
                ),
                "final": chain(norm=nn.BatchNorm2d(outputs[-1]), act=nn.ReLU()),
            },
            num_features=outputs[-1],
            num_classes=num_classes,
        )
        he_normal_(self)
