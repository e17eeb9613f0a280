"""Describe the inserted blocks of a network as values that a file can hold, and attach blocks from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from senet.errors import CheckpointError, SpecError
from senet.nn import SqueezeExcite
from senet.spec import SESpec
from senet.surgery.folding.constants import ChannelScale
from senet.surgery.insertion.hooks import attach, gate_input, gate_output

__all__ = ["Inserted", "inserted", "reinsert"]

MOST_CHANNELS = 65_536


@dataclass(frozen=True, kw_only=True)
class Inserted:
    """One block that is attached to a module.

    Attributes:
        name: path of the block; the path before the last dot is that of its host.
        side: whether it gates the `output` of the host or its `input`.
        channels: channels of the map [1].
        channels_last: whether channels are the last axis of the map.
        dims: spatial dimensions of the map: 1, 2 or 3.
        spec: its design, with one ratio; None where `fold` replaced the block by one constant for each channel.

    Raises:
        SpecError: if the side, the channels or the dimensions are out of range.
    """

    name: str
    side: str
    channels: int
    channels_last: bool = False
    dims: int = 2
    spec: SESpec | None = None

    def __post_init__(self) -> None:
        if (
            self.side not in ("output", "input")
            or not 1 <= self.channels <= MOST_CHANNELS
            or self.dims not in (1, 2, 3)
        ):
            raise SpecError(
                f"insert: {self.name[:80]!r} on the {self.side[:20]!r} of {self.channels:.6g} channels in "
                f"{self.dims:.6g} dimensions is not possible; the side is output or input, channels are 1 to "
                f"{MOST_CHANNELS:,}."
            )

    def block(self) -> nn.Module:
        """Return a new block, or a new `ChannelScale` if `spec` is None, with initial weights."""
        if self.spec is None:
            return ChannelScale(torch.ones(self.channels), dim=-1 if self.channels_last else 1)
        return SqueezeExcite(self.channels, self.spec, dims=self.dims)


def inserted(model: nn.Module) -> tuple[Inserted, ...]:
    """Describe the blocks that `insert` attached to a network, including those that `fold` replaced by constants.

    Args:
        model: the network; blocks that were folded into other layers are left out.

    Raises:
        SpecError: if a block was built by hand, so that no `SESpec` describes it.
    """
    found = []
    for path, module in model.named_modules():
        for side, hooks in (("input", module._forward_pre_hooks), ("output", module._forward_hooks)):
            for hook in hooks.values():
                if isinstance(hook, partial) and hook.func in (gate_input, gate_output):
                    name = f"{path}.{hook.keywords['child']}".removeprefix(".")
                    found.append((name, side, hook.keywords["last"], model.get_submodule(name)))
    return tuple(_described(*one) for one in found if type(one[3]) is not nn.Identity)


def reinsert(model: nn.Module, records: Sequence[Inserted], tensors: Mapping[str, Tensor]) -> None:
    """Attach recorded blocks to a network again, by their names, without planning an insertion.

    Args:
        model: the network without them; changed in place.
        records: the result of `inserted`.
        tensors: the weights that will be loaded; blocks of other shapes are refused before memory is allocated.

    Raises:
        CheckpointError: if a host does not exist, a name is taken, or the shapes of a block differ from the weights.
    """
    for record in records:
        path, _, child = record.name.rpartition(".")
        try:
            host = model.get_submodule(path)
        except AttributeError:
            raise CheckpointError(f"insert: the network has no module {path[:80]!r}; it is another network.") from None
        if not child.isidentifier() or hasattr(host, child):
            raise CheckpointError(f"insert: {record.name[:80]!r} is not free in the network; it is another network.")
        with torch.device("meta"):
            twin = record.block()
        for key, value in twin.state_dict(prefix=f"{record.name}.").items():
            if key not in tensors or tensors[key].shape != value.shape:
                raise CheckpointError(f"insert: the weights have no {key[:80]} of shape {tuple(value.shape)}.")
        attach(host, child, record.block(), side=record.side, last=record.channels_last)


def _described(name: str, side: str, last: bool, block: nn.Module) -> Inserted:
    if isinstance(block, ChannelScale):
        return Inserted(name=name, side=side, channels=len(block.scale), channels_last=last)
    if not isinstance(block, SqueezeExcite) or block.excitation is not None:
        raise SpecError(
            f"{name} is a {type(block).__name__} of your own; a folder holds blocks that a SESpec describes."
        )
    dims = block.dims if block.num_map_layers else 2  # other layers are the same for maps of any dimensions
    return Inserted(name=name, side=side, channels=block.channels, channels_last=last, dims=dims, spec=block.spec)
