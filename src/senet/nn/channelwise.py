"""Sparse layers of an excitation: one number for each channel, and a convolution over the channels.

Letters in shapes: n images, c channels, q numbers for each channel in the order of the channels, *t sizes.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["ChannelConv", "Channelwise", "conv_size"]


def conv_size(channels: int) -> int:
    """Return the number of neighbouring channels that efficient channel attention combines, an odd number.

    Source:
        Wang et al., arXiv:1910.03151, Eq. 12 with gamma = 2, b = 1.

    Example:
        >>> [conv_size(channels) for channels in (8, 64, 256, 2048)]
        [3, 3, 5, 7]
    """
    return int((math.log2(channels) + 1) / 2) // 2 * 2 + 1


class Channelwise(nn.Module):
    """Combine the numbers of each channel to one with weights of its own: `sum_q w[c, q] z[c, q] + b[c]`.

    Args:
        channels: channels of the descriptor.
        numbers: numbers for each channel, q: 1 or 2.
        bias: whether a number is added.
        first: initial weights: 1 for a layer before a norm, 0 for the last one, whose gate then starts constant.
        device: of the weights; None means torch's default.
        dtype: of the weights; None means torch's default.

    Source:
        Lee et al., arXiv:1903.10829, Eq. 3 (style integration); initial weights: Yang et al., arXiv:1909.11519, 3.2.
    """

    def __init__(
        self,
        channels: int,
        numbers: int = 1,
        *,
        bias: bool,
        first: float,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.sizes = (channels, numbers)  # torch.fx knows no shape of a parameter
        self.weight = nn.Parameter(torch.full(self.sizes, first, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype)) if bias else None

    def forward(self, z: Float[Tensor, "n cq *t"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
        """Combine the numbers of each channel; `dims` is the number of sizes of the descriptor."""
        ones = [1] * (z.ndim - 2 if dims is None else dims)
        w = self.weight.reshape(*self.sizes, *ones)
        y = z * w[:, 0] if self.sizes[1] == 1 else z[:, 0::2] * w[:, 0] + z[:, 1::2] * w[:, 1]
        return y if self.bias is None else y + self.bias.reshape(-1, *ones)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.sizes[0]}, {self.sizes[1]}, bias={self.bias is not None}"


class ChannelConv(nn.Module):
    """Convolve a descriptor over its channels, with zeros beyond the first and the last one.

    Args:
        size: channels that are combined, an odd number.
        numbers: numbers for each channel, q.
        bias: whether a number is added.
        device: of the weights; None means torch's default.
        dtype: of the weights; None means torch's default.

    Source:
        Wang et al., arXiv:1910.03151, Eq. 7.
    """

    def __init__(
        self,
        size: int,
        numbers: int = 1,
        *,
        bias: bool,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.size, self.numbers = size, numbers
        self.weight = nn.Parameter(torch.empty(1, numbers, size, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(1, device=device, dtype=dtype)) if bias else None
        bound = (size * numbers) ** -0.5  # that of torch's convolutions
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, z: Float[Tensor, "n cq *t"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
        """Convolve over the channels, at each position alone; `dims` is the number of sizes of the descriptor."""
        dims = z.ndim - 2 if dims is None else dims
        rows = z.flatten(2) if dims else z.unsqueeze(-1)
        rows = torch.unflatten(rows, 1, (-1, self.numbers)).transpose(1, 2)  # n q c positions
        y = F.conv2d(rows, self.weight.unsqueeze(-1), self.bias, padding=(self.size // 2, 0)).squeeze(1)
        return torch.unflatten(y, 2, z.shape[2:]) if dims else y.squeeze(-1)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"size={self.size}, numbers={self.numbers}, bias={self.bias is not None}"
