"""The layers of an excitation: 1x1 convolutions between consecutive widths, wider kernels on the map, sparse layers."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError
from senet.nn.channelwise import ChannelConv, Channelwise, conv_size
from senet.nn.norm import BatchNorm, ChannelNorm

__all__ = ["layers", "pointwise", "sizes", "sparse_layers"]

SIZED = (ChannelConv, Channelwise, BatchNorm, ChannelNorm)  # torch.fx tells them no number of dimensions
CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def layers(
    widths: Sequence[int],
    *,
    bias: bool,
    map_kernels: Sequence[int] = (),
    dims: int = 2,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Iterator[nn.Module]:
    """Yield the layers between consecutive widths.

    Args:
        widths: at least two channel counts.
        bias: whether the layers have biases.
        map_kernels: kernel sizes of the leading layers that act on the map; all others are 1.
        dims: spatial dimensions of the map, for kernels wider than 1.
        device: of the weights; None means torch's default.
        dtype: of the weights; None means torch's default.

    Raises:
        SpecError: if `dims` is not 1, 2 or 3.
    """
    if dims not in CONVS:
        raise SpecError(f"dims = {dims} is not known; choose one of: 1, 2, 3.")
    kernels = [*map_kernels, *[1] * (len(widths) - 1 - len(map_kernels))]
    for (inputs, outputs), k in zip(pairwise(widths), kernels, strict=True):
        if k == 1:  # always Conv2d: one key layout for 1-D, 2-D and 3-D maps, as timm and torchvision store it
            yield nn.Conv2d(inputs, outputs, 1, bias=bias, device=device, dtype=dtype)
        else:
            yield CONVS[dims](inputs, outputs, k, padding=k // 2, bias=bias, device=device, dtype=dtype)


def sparse_layers(
    variant: str,
    channels: int,
    numbers: int,
    *,
    bias: bool,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers of a variant that is not made of full matrices, with their names.

    Args:
        variant: `conv`, `channelwise`, `channelwise_both` or `none`.
        channels: channels of the map.
        numbers: numbers of the descriptor for each channel.
        bias: whether the last layer has biases.
        device: of the weights; None means torch's default.
        dtype: of the weights; None means torch's default.
    """
    if variant == "conv":
        yield "conv", ChannelConv(conv_size(channels), numbers, bias=bias, device=device, dtype=dtype)
    if variant == "channelwise_both":
        yield "fc1", Channelwise(channels, numbers, bias=False, first=1.0, device=device, dtype=dtype)
        yield "fc2", Channelwise(channels, bias=bias, first=0.0, device=device, dtype=dtype)
    if variant == "channelwise":
        yield "fc1", Channelwise(channels, numbers, bias=bias, first=0.0, device=device, dtype=dtype)


def sizes(layer: nn.Module) -> tuple[int, int] | None:
    """Return the input and output channels of a layer, read from its weight; None for modules without one.

    Pruning tools change the weight but do not always update `in_channels`.
    """
    weight = getattr(layer, "weight", None)
    if isinstance(weight, Tensor) and weight.ndim > 1:
        return weight.shape[1] * getattr(layer, "groups", 1), weight.shape[0]
    for names in (("in_channels", "out_channels"), ("in_features", "out_features")):  # quantised: no tensor
        if all(isinstance(getattr(layer, name, None), int) for name in names):
            return getattr(layer, names[0]), getattr(layer, names[1])
    return None


def pointwise(layer: nn.Module, z: Float[Tensor, "n c *s"], *, dims: int | None = None) -> Float[Tensor, "n d *s"]:
    """Apply a layer of an excitation to a descriptor or a map of any number of dimensions.

    Args:
        layer: a convolution, a sparse layer, a norm, or a module that replaces one of them.
        z: the input of the layer.
        dims: spatial dimensions of `z`; None reads them from its shape.
    """
    dims = z.ndim - 2 if dims is None else dims
    if isinstance(layer, SIZED):
        return layer(z, dims=dims)  # type: ignore[no-any-return]
    if dims == 2 or not isinstance(layer, nn.Conv2d) or layer.kernel_size != (1, 1):
        mapped: Tensor = layer(z)
        return mapped
    return layer(z.flatten(2).unsqueeze(-1)).squeeze(-1).unflatten(2, z.shape[2:])  # type: ignore[no-any-return]
