"""Replace a block by a constant for every channel, or remove it from the network.

Letters in shapes: n images, c channels, *s sizes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.nn import Residual
from senet.surgery.insertion.hooks import attached, detach
from senet.surgery.insertion.watch import forget

__all__ = ["ChannelScale", "put", "take_out"]


class ChannelScale(nn.Module):
    """Multiply every channel by a constant; replaces a block whose gate hardly depends on the image.

    Args:
        scale: the constants `(c,)`.
        dim: channel axis of the map: 1, or -1 for channels last.
        inplace: whether to write into the map, if the block did so, since the network may use the same tensor again.
    """

    inplace = False  # default for networks that were pickled before this attribute existed

    def __init__(self, scale: Float[Tensor, " c"], *, dim: int = 1, inplace: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale)
        self.dim = dim
        self.inplace = inplace

    def forward(self, x: Float[Tensor, "n *s"]) -> Float[Tensor, "n *s"]:
        """Return the map with every channel multiplied by its constant."""
        shape = [1] * x.ndim
        shape[self.dim] = len(self.scale)
        scale = self.scale.to(x.dtype).view(shape)
        return x.mul_(scale) if self.inplace else x * scale

    def extra_repr(self) -> str:
        """Return the number of channels for `repr`."""
        return f"{len(self.scale)}" + ("" if self.dim == 1 else f", dim={self.dim}")


def put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Replace a module by another one, under every name that it has."""
    old = model.get_submodule(name)
    places = [(parent, child) for parent in model.modules() for child, part in parent._modules.items() if part is old]
    for parent, child in places:
        parent._modules[child] = module  # `setattr` would honour properties of the class; `forward` uses `_modules`
    assert places


def take_out(model: nn.Module, name: str) -> None:
    """Remove a module that returns its input unchanged, without renaming other modules.

    An inserted block is removed with its hook, a slot of senet's residual units becomes empty, and a named part of a
    sequence is deleted, as if the network had been built without it. Elsewhere an `nn.Identity` without tensors takes
    its place, since the positions in a sequence are names too.
    """
    path, _, child = name.rpartition(".")
    parent = model.get_submodule(path)
    if child in attached(parent):
        detach(parent, child)
        forget(model, [name])
        return
    put(model, name, nn.Identity())
    if isinstance(parent, Residual):
        del parent._modules[child]
        setattr(parent, child, None)
    elif type(parent) is nn.Sequential and not child.isdecimal() and len(parent) > 1:
        del parent._modules[child]


@torch.no_grad()
def scaled_(weight: Tensor, factors: Float[Tensor, " c"], *, dim: int, groups: int = 1) -> None:
    """Multiply the slices of a tensor by factors, in place, computed in float64.

    Args:
        weight: weight of a norm, a convolution or a linear map.
        factors: one factor for each output channel (`dim` 0), or for each input channel (`dim` 1) of all groups.
        dim: axis of the weight that is scaled: 0 for output channels, 1 for input channels.
        groups: groups of the convolution.
    """
    wide = weight.double()
    factors = factors.double().to(weight.device)
    if dim == 0:
        wide = wide * factors.view(-1, *[1] * (weight.ndim - 1))
    else:
        outputs, inputs, *kernel = weight.shape
        parts = wide.view(groups, outputs // groups, inputs, *kernel)
        wide = parts * factors.view(groups, 1, inputs, *[1] * len(kernel))
    weight.copy_(wide.reshape(weight.shape))
