"""Fusing batch norms into the preceding convolution, and 1x1 convolutions as matrix products.

Letters in shapes: n images, d outputs, c inputs, *s sizes.
"""

from copy import deepcopy
from math import prod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError
from senet.nn.layers import CONVS

__all__ = [
    "Conv",
    "Norm",
    "Pointwise",
    "expand_sizes",
    "fuse_norm",
    "is_pointwise",
    "is_usual",
    "matrix",
]

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d
USUAL = tuple(conv.forward for conv in CONVS)
LINEAR = 1e-5  # relative difference in float64 of weights that were rounded to their own type


class Norm(NamedTuple):
    """A norm in evaluation mode: `gamma · (x - mean) / sqrt(var + eps) + beta`."""

    mean: Float[Tensor, "d"]
    var: Float[Tensor, "d"]
    gamma: Float[Tensor, "d"] | None
    beta: Float[Tensor, "d"] | None
    eps: float


class Pointwise(nn.Module):
    """A 1x1 convolution of a descriptor `(n, c, 1, 1)` or `(n, c)` as a matrix product, in the dtype of the matrix.

    On a CPU, a convolution of a single position would repack its weights at every call.
    """

    def __init__(self, weight: Float[Tensor, "d c"], bias: Float[Tensor, "d"] | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, z: Float[Tensor, "n c *s"]) -> Float[Tensor, "n d *s"]:
        """Apply the matrix to the channels."""
        flat = F.linear(z.flatten(1).to(self.weight.dtype), self.weight, self.bias)
        return flat if z.ndim == 2 else flat.reshape(*flat.shape, *[1] * (z.ndim - 2))


def fuse_norm(conv: Conv, norm: Norm) -> Conv:
    """Return a convolution equivalent to `conv` followed by the norm, computed in float64.

    With `k = gamma / sqrt(var + eps)`: `W' = k W` and `b' = k (b - mean) + beta`.

    Raises:
        SpecError: if the class of the convolution has a forward pass of its own that is not linear in its weight.
    """
    k = (norm.var.detach().double() + norm.eps).rsqrt()
    k = k if norm.gamma is None else k * norm.gamma.detach().double()
    bias = -k * norm.mean.detach().double()
    bias = bias if conv.bias is None else bias + k * conv.bias.detach().double()
    bias = bias if norm.beta is None else bias + norm.beta.detach().double()
    weight = conv.weight.detach()
    fused = _empty(conv) if is_usual(conv) else deepcopy(conv)
    scaled = weight.double() * k.view(-1, *[1] * (weight.ndim - 1))
    fused.weight = nn.Parameter(torch.empty_like(weight).copy_(scaled), requires_grad=False)  # its memory format
    fused.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=False)
    if not is_usual(conv):
        _ensure_linear(conv, fused, k, bias)
    return fused.eval()


def is_usual(conv: nn.Module) -> bool:
    """Return whether a module is a convolution of torch, or of a subclass with the same forward pass."""
    return isinstance(conv, CONVS) and type(conv).forward in USUAL


def _empty(conv: Conv) -> Conv:
    """Return a convolution of torch with the settings of another, without weights."""
    made: type[Conv] = next(kind for kind in CONVS if isinstance(conv, kind))
    return made(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]  # a tuple of as many sizes as the class has dimensions
        stride=conv.stride,  # type: ignore[arg-type]
        padding=conv.padding,  # type: ignore[arg-type]
        dilation=conv.dilation,  # type: ignore[arg-type]
        groups=conv.groups,
        padding_mode=conv.padding_mode,
        device="meta",
    )


@torch.no_grad()
def _ensure_linear(conv: Conv, fused: Conv, k: Tensor, bias: Tensor) -> None:
    """Compare a convolution with a forward pass of its own, scaled by a fused norm, with what the norm would give."""
    size = [2 * kernel * dilation + 1 for kernel, dilation in zip(conv.kernel_size, conv.dilation, strict=True)]
    x = torch.linspace(-1, 1, conv.in_channels * prod(size), dtype=torch.float64).reshape(1, -1, *size)
    x = x.to(conv.weight.device)
    shape = (-1, *[1] * len(size))
    own = torch.zeros_like(bias) if conv.bias is None else conv.bias.detach().double()
    wanted = (deepcopy(conv).double()(x) - own.view(shape)) * k.view(shape) + bias.view(shape)
    error = (deepcopy(fused).double()(x) - wanted).abs().max()
    if not error <= LINEAR * wanted.abs().max():
        raise SpecError(f"the forward pass of {type(conv).__name__} is not linear in its weight.")


def expand_sizes(model: nn.Module) -> None:
    """Replace integer strides, paddings and dilations, which torch accepts if set later, by one per dimension."""
    for module in model.modules():
        if not isinstance(module, CONVS):
            continue
        for name in ("stride", "padding", "dilation"):
            if isinstance(value := getattr(module, name), int):
                setattr(module, name, (value,) * len(module.kernel_size))


def is_pointwise(layer: nn.Module) -> bool:
    """Return whether a layer is a 1x1 convolution without groups and padding."""
    return isinstance(layer, CONVS) and set(layer.kernel_size) == {1} and layer.groups == 1 and not any(layer.padding)


def matrix(conv: Conv) -> Float[Tensor, "d c"]:
    """Return a 1x1 convolution as a matrix in float64; groups become blocks on its diagonal."""
    weight = conv.weight.detach().double().flatten(1)
    if conv.groups == 1:
        return weight
    whole: Tensor = torch.block_diag(*weight.chunk(conv.groups))  # type: ignore[no-untyped-call]
    return whole
