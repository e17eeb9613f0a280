"""The maps of a network at several depths, for detection and segmentation, with timm's names.

Letters in shapes: n images, c channels, h and w sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.dataflow.twin import twin
from senet.errors import SpecError
from senet.models import Network
from senet.models.checkpointing import checkpointed

__all__ = ["FeatureInfo", "FeatureMaps"]


@dataclass(frozen=True)
class FeatureInfo:
    """What is known of each map, in the order in which they are returned; methods and keys have timm's names.

    Attributes:
        info: for each map its channels `num_chs`, its nominal `reduction` (a power of 2: the side of the image over
            that of the map), and the `module` whose output it is.
    """

    info: tuple[dict[str, int | str], ...]

    def channels(self) -> list[int]:
        """Return the channels of each map."""
        return [int(one["num_chs"]) for one in self.info]

    def reduction(self) -> list[int]:
        """Return the nominal reduction of each map."""
        return [int(one["reduction"]) for one in self.info]

    def module_name(self) -> list[str]:
        """Return the name of the module of each map."""
        return [str(one["module"]) for one in self.info]

    def __len__(self) -> int:
        return len(self.info)

    def __getitem__(self, at: int) -> dict[str, int | str]:
        return self.info[at]


class FeatureMaps(nn.Module):
    """The body of a network of the zoo, which returns its maps at several depths: timm's `features_only`.

    The parts keep their names, so weights of the whole network fit with `strict=False`.

    Args:
        network: the network; its parts are shared, not copied.
        out_indices: numbers of the parts whose maps are returned, from 0 in the order of `network.parts` (the stem is
            0 where there is one, stage 1 is 1); negative ones count from the end. None returns all.
        side: side of the images that the network is made for [pixels].
        in_chans: channels of the image.

    Raises:
        SpecError: if an index does not exist, or none is given.
    """

    def __init__(
        self, network: Network, *, out_indices: Sequence[int] | None = None, side: int, in_chans: int = 3
    ) -> None:
        super().__init__()
        names = network.parts
        asked = range(len(names)) if out_indices is None else out_indices
        listed = isinstance(asked, Sequence) and len(asked) > 0
        if not listed or any(type(at) is not int or not -len(names) <= at < len(names) for at in asked):
            raise SpecError(
                f"out_indices = {asked!r} is not possible; list numbers from 0 to {len(names) - 1}, which stand for "
                f"{', '.join(names)}."
            )
        self.out_indices = tuple(sorted({at % len(names) for at in asked}))
        self.parts = names[: self.out_indices[-1] + 1]
        for name in self.parts:
            self.add_module(name, getattr(network, name))
        self.grad_checkpointing = False
        shadow = twin(self, data=False)
        maps = shadow(torch.empty(1, in_chans, side, side, device="meta"))
        self.feature_info = FeatureInfo(
            tuple(
                {"num_chs": one.shape[1], "reduction": 2 ** round(log2(side / one.shape[2])), "module": names[at]}
                for at, one in zip(self.out_indices, maps, strict=True)
            )
        )

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Switch gradient checkpointing of the parts on or off, see `senet.models.Network.set_grad_checkpointing`."""
        self.grad_checkpointing = enable

    def forward(self, x: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """Return the maps at `out_indices`, the largest first."""
        maps = []
        for number, name in enumerate(self.parts):
            part = getattr(self, name)
            x = checkpointed(part, x) if self.grad_checkpointing else part(x)
            if number in self.out_indices:
                maps.append(x)
        return maps
