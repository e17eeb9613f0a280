"""Inception-ResNet-v2 in two versions, `readings`: as in TensorFlow's code, and as in the paper's figures.

Letters in shapes: n images, c channels, h and w sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError, unknown
from senet.models.branches import branch, mixed
from senet.models.initialization import he_normal_
from senet.models.network import Network
from senet.nn import Gates, Residual, Site, chain, place
from senet.spec import SESpec

__all__ = ["READINGS", "InceptionResNetV2", "Reading", "Scale"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The parts of the network that differ between the code and the figures, in the notation of `branches`.

    Attributes:
        stem: layers up to the 35x35 map.
        depths: number of units A, B and C.
        tail: layers between the last unit and the pooling; empty for none.
        last_plain: whether the last unit has neither scale nor ReLU.
    """

    stem: tuple[str, ...]
    depths: tuple[int, ...]
    tail: str
    last_plain: bool


READINGS = {
    "slim": Reading(
        stem=(
            "3x3 32/2V, 3x3 32V, 3x3 64, max/2V, 1x1 80, 3x3 192V, max/2V",
            "1x1 96 | 1x1 48, 5x5 64 | 1x1 64, 3x3 96, 3x3 96 | avg, 1x1 64",
        ),
        depths=(10, 20, 10),
        tail="1x1 1536",
        last_plain=True,
    ),
    "figures": Reading(
        stem=(
            "3x3 32/2V, 3x3 32V, 3x3 64",
            "max/2V | 3x3 96/2V",
            "1x1 64, 3x3 96V | 1x1 64, 7x1 64, 1x7 64, 3x3 96V",
            "3x3 192/2V | max/2V",
        ),
        depths=(5, 10, 5),
        tail="",
        last_plain=False,
    ),
}

# units A, B, C (Figures 16, 17 and 19) with their residual scale; reduction modules before B and C
UNITS = (
    ("1x1 32 | 1x1 32, 3x3 32 | 1x1 32, 3x3 48, 3x3 64", 0.17),
    ("1x1 192 | 1x1 128, 1x7 160, 7x1 192", 0.10),
    ("1x1 192 | 1x1 192, 1x3 224, 3x1 256", 0.20),
)
HALVINGS = (
    "",
    "3x3 384/2V | 1x1 256, 3x3 256, 3x3 384/2V | max/2V",
    "1x1 256, 3x3 384/2V | 1x1 256, 3x3 288/2V | 1x1 256, 3x3 288, 3x3 320/2V | max/2V",
)


class Scale(nn.Module):
    """Multiply a map by a constant: residuals are scaled down by 0.1 to 0.2 to stabilize training."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Multiply."""
        return self.factor * x

    def extra_repr(self) -> str:
        """Show the factor."""
        return f"{self.factor}"


def unit(channels: int, *, stage: int, number: int, gates: Gates, plain: bool = False) -> Residual:
    """Build one unit: branches, a linear 1x1 convolution with bias, block and scale; then sum and ReLU."""
    words, factor = UNITS[stage - 1]
    branches, width = mixed(words, channels)
    site = Site(stage=stage, unit=number, channels=channels, in_channels=channels, inner_channels=width)
    se = dict(gates(site))
    gate = se.pop("standard", None)
    return Residual(
        chain(
            mixed=branches,
            se_inner=se.get("inner"),
            conv=nn.Conv2d(width, channels, 1),
            se=gate,
            scale=None if plain else Scale(factor),
        ),
        act=None if plain else nn.ReLU(),
        gates=se,
    )


class InceptionResNetV2(Network):
    """Inception-ResNet-v2 for images of 299 pixels (at least 75).

    The units A, B and C are stages 1, 2 and 3. A block sits on the branch after its linear convolution and before the
    scale; `inner` is after the concatenation. The stem and the reduction modules have no blocks.

    Args:
        reading: `slim` as in TensorFlow's code, timm and the Caffe port; `figures` as in the paper's figures.
        depths: number of units A, B and C; None is the default of the reading: (10, 20, 10) or (5, 10, 5).
        drop: probability of dropping a feature before the classifier.
        se, num_classes, in_chans: as for `senet.create_model`.

    Source:
        Szegedy et al., arXiv:1602.07261, Figures 3, 7 and 15 to 19; TF-slim's inception_resnet_v2; the position of the
        block is our interpretation.
    """

    def __init__(
        self,
        *,
        reading: str = "slim",
        depths: Sequence[int] | None = None,
        drop: float = 0.2,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        if reading not in READINGS:
            raise unknown("reading", reading, READINGS)
        read = READINGS[reading]
        depths = read.depths if depths is None else tuple(depths)
        if len(depths) != 3:
            raise SpecError(f"depths = {depths} has {len(depths)} stages; use 3: the numbers of units A, B and C.")
        gates = place(se, depths=depths, network="inception_resnet_v2")
        stem: dict[str, nn.Module] = {}
        channels = in_chans
        for number, words in enumerate(read.stem, 1):
            stem[f"part{number}"], channels = mixed(words, channels) if "|" in words else branch(words, channels)
        body: dict[str, nn.Module] = {"stem": chain(**stem)}
        for stage, (depth, words) in enumerate(zip(depths, HALVINGS, strict=True), 1):
            units: dict[str, nn.Module] = {}
            if words:
                units["halve"], channels = mixed(words, channels)
            for number in range(1, depth + 1):
                plain = read.last_plain and stage == 3 and number == depth
                units[f"unit{number}"] = unit(channels, stage=stage, number=number, gates=gates, plain=plain)
            body[f"stage{stage}"] = chain(**units)
        if read.tail:
            body["tail"], channels = branch(read.tail, channels)
        super().__init__(body, num_features=channels, num_classes=num_classes, drop=drop)
        he_normal_(self)
