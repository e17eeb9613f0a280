"""What may stand in the place of a block: a constant for every channel, or nothing.

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
    """Multiply every channel by a constant: what is left of a block whose gate does not depend on the image.

    Args:
        scale: the constants.
        dim: where the channels are: 1, or -1 for maps with the channels last.
        inplace: whether to write into the map, as the block did: the network may read it under its old name.
    """

    inplace = False  # for networks that were pickled before there was a choice

    def __init__(self, scale: Float[Tensor, " c"], *, dim: int = 1, inplace: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale)
        self.dim = dim
        self.inplace = inplace

    def forward(self, x: Float[Tensor, "n *s"]) -> Float[Tensor, "n *s"]:
        """Scale."""
        shape = [1] * x.ndim
        shape[self.dim] = len(self.scale)
        scale = self.scale.to(x.dtype).view(shape)
        return x.mul_(scale) if self.inplace else x * scale

    def extra_repr(self) -> str:
        """Show how many channels."""
        return f"{len(self.scale)}" + ("" if self.dim == 1 else f", dim={self.dim}")


def put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of another one, under every name that the other one has.

    Args:
        model: the network; changed in place.
        name: path of what is replaced.
        module: what comes there.
    """
    old = model.get_submodule(name)
    places = [(parent, child) for parent in model.modules() for child, part in parent._modules.items() if part is old]
    for parent, child in places:
        parent._modules[child] = module  # `setattr` would look at the class, `_modules` is what `forward` sees
    assert places


def take_out(model: nn.Module, name: str) -> None:
    """Take a module out that gives back what it gets; the names of all others stay.

    An inserted block goes with its hook, a slot of our residual units becomes empty and a named part of a sequence
    goes, as in the network that never had it. Anywhere else an `nn.Identity` stays, which has no tensors: positions in
    a sequence are names too.

    Args:
        model: the network; changed in place.
        name: path of the module.
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
        weight: of a norm, a convolution or a linear map.
        factors: one for each output channel (`dim` 0), or for each input channel (`dim` 1) of all groups.
        dim: which side.
        groups: of the convolution.
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
