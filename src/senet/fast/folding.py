"""Norms and linear maps that are multiplied into the layer before or after them.

Letters in shapes: d outputs, c inputs, *k kernel sizes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["CONVS", "NORMS", "Pointwise", "fold_norm", "matrix", "obstacle", "pointwise"]

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Pointwise(nn.Module):
    """A 1x1 convolution of a descriptor `(n, c, 1, 1)` as a product with a matrix.

    One position needs no convolution: on a CPU its weights would be repacked at every call.
    """

    def __init__(self, weight: Float[Tensor, "d c"], bias: Float[Tensor, "d"] | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, z: Float[Tensor, "n c 1 1"]) -> Float[Tensor, "n d 1 1"]:
        """Map the channels."""
        return nn.functional.linear(z.flatten(1), self.weight, self.bias)[:, :, None, None]


def obstacle(conv: nn.Module, norm: nn.Module) -> str:
    """Say why a norm cannot go into the convolution before it; empty if it can."""
    if type(conv) not in CONVS:
        return f"what comes before it is {type(conv).__name__}, no convolution"
    if norm.running_mean is None:
        return "it keeps no running statistics"
    if _has_hooks(conv) or _has_hooks(norm):
        return "one of the two has hooks"
    return ""


def fold_norm(conv: nn.Module, norm: nn.Module) -> nn.Module:
    """Make the convolution that gives what the norm gives after `conv` in evaluation mode.

    With statistics μ, var and parameters γ, β: `k = γ / sqrt(var + ε)`, `W' = k W`, `b' = k (b - μ) + β`, computed in
    float64.
    """
    mean, var, gamma, beta = (
        None if value is None else value.detach().double()
        for value in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    assert mean is not None
    assert var is not None
    k = (var + norm.eps).rsqrt()
    k = k if gamma is None else k * gamma
    weight = conv.weight.detach()
    bias = 0.0 if conv.bias is None else conv.bias.detach().double()
    bias = k * (bias - mean) + (0.0 if beta is None else beta)
    folded = type(conv)(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
        padding_mode=conv.padding_mode,
        device="meta",
    )
    scaled = (weight.double() * k.view(-1, *[1] * (weight.ndim - 1))).to(weight.dtype)
    like = torch.empty_like(weight)  # the memory format of the weight
    folded.weight = nn.Parameter(like.copy_(scaled), requires_grad=False)
    folded.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=False)
    return folded.eval()


def pointwise(layer: nn.Module) -> bool:
    """Tell whether a layer of an excitation looks at one position and mixes all channels."""
    if type(layer) not in CONVS:
        return False
    return layer.kernel_size == (1,) * len(layer.kernel_size) and layer.groups == 1 and not any(layer.padding)


def matrix(conv: nn.Module) -> Float[Tensor, "d c"]:
    """Give a 1x1 convolution as a matrix in float64, of groups as blocks on its diagonal."""
    weight = conv.weight.detach().double().flatten(1)
    return torch.block_diag(*weight.chunk(conv.groups)) if conv.groups > 1 else weight


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
