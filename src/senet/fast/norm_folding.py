"""Norms that are multiplied into the convolution before them, and 1x1 convolutions as matrices.

Letters in shapes: n images, d outputs, c inputs, *s sizes.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["CONVS", "NORMS", "Conv", "Norm", "Pointwise", "fold_norm", "is_pointwise", "matrix", "spell_out"]

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d
CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Norm(NamedTuple):
    """A norm in evaluation mode: `gamma · (x - mean) / sqrt(var + eps) + beta`."""

    mean: Float[Tensor, "d"]
    var: Float[Tensor, "d"]
    gamma: Float[Tensor, "d"] | None
    beta: Float[Tensor, "d"] | None
    eps: float


class Pointwise(nn.Module):
    """A 1x1 convolution of a descriptor `(n, c, 1, 1)` or `(n, c)` as a product with a matrix, in the matrix' type.

    One position needs no convolution: on a CPU its weights would be repacked at every call.
    """

    def __init__(self, weight: Float[Tensor, "d c"], bias: Float[Tensor, "d"] | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, z: Float[Tensor, "n c *s"]) -> Float[Tensor, "n d *s"]:
        """Map the channels."""
        flat = F.linear(z.flatten(1).to(self.weight.dtype), self.weight, self.bias)
        return flat if z.ndim == 2 else flat.reshape(*flat.shape, *[1] * (z.ndim - 2))


def fold_norm(conv: Conv, norm: Norm) -> Conv:
    """Make the convolution that gives what the norm gives after `conv`, computed in float64.

    With `k = gamma / sqrt(var + eps)`: `W' = k W` and `b' = k (b - mean) + beta`.
    """
    k = (norm.var.detach().double() + norm.eps).rsqrt()
    k = k if norm.gamma is None else k * norm.gamma.detach().double()
    bias = -k * norm.mean.detach().double()
    bias = bias if conv.bias is None else bias + k * conv.bias.detach().double()
    bias = bias if norm.beta is None else bias + norm.beta.detach().double()
    weight = conv.weight.detach()
    folded = type(conv)(
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
    scaled = weight.double() * k.view(-1, *[1] * (weight.ndim - 1))
    folded.weight = nn.Parameter(torch.empty_like(weight).copy_(scaled), requires_grad=False)  # its memory format
    folded.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=False)
    return folded.eval()


def spell_out(model: nn.Module) -> None:
    """Give each dimension of a convolution its own number where somebody set one for all, which torch accepts too."""
    for module in model.modules():
        if not isinstance(module, CONVS):
            continue
        for name in ("stride", "padding", "dilation"):
            if isinstance(value := getattr(module, name), int):
                setattr(module, name, (value,) * len(module.kernel_size))


def is_pointwise(layer: nn.Module) -> bool:
    """Return whether a layer of an excitation is a convolution of one position that mixes all channels."""
    return isinstance(layer, CONVS) and set(layer.kernel_size) == {1} and layer.groups == 1 and not any(layer.padding)


def matrix(conv: Conv) -> Float[Tensor, "d c"]:
    """Give a 1x1 convolution as a matrix in float64, groups as blocks on its diagonal."""
    weight = conv.weight.detach().double().flatten(1)
    if conv.groups == 1:
        return weight
    whole: Tensor = torch.block_diag(*weight.chunk(conv.groups))  # type: ignore[no-untyped-call]
    return whole
