"""Convert bytes to floats: the statistics of a data set, and three normalizations.

`n` images, `c` channels, `h` rows, `w` columns.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor

__all__ = ["Normalize", "channel_statistics", "kth_mean", "kth_wrap"]

_CHUNK = 4096  # images at a time: the whole CIFAR-10 as int32 would take 600 MB


@dataclass(frozen=True)
class Normalize:
    """`(x / scale - mean) / std` per channel, or `x / scale` without mean and deviation.

    Attributes:
        mean: mean of `x / 255` of every channel, or empty.
        std: standard deviation of `x / 255` of every channel, or empty.
        scale: 255 for bytes, 1 for floats that are used as they are.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    scale: float = 255.0

    def __call__(self, x: Num[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Convert pixels to float32."""
        x = x.float() / self.scale
        if not self.mean:
            return x
        return x.sub_(_column(self.mean, x.device)).div_(_column(self.std, x.device))


def channel_statistics(images: UInt8[Tensor, "n c h w"]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure mean and standard deviation of `x / 255` per channel, from exact integer sums.

    Returns:
        Means and (population) standard deviations, one for each channel [1].
    """
    channels = images.shape[1]
    total, squares = torch.zeros(2, channels, dtype=torch.int64)
    for chunk in torch.split(images, _CHUNK):
        total += chunk.sum((0, 2, 3), dtype=torch.int64)
        squares += chunk.int().square().sum((0, 2, 3), dtype=torch.int64)
    count = max(1, images.numel() // channels)
    mean = total.double() / count
    std = (squares.double() / count - mean.square()).clamp(min=0).sqrt()
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def kth_mean(images: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "c h w"]:
    """Compute the mean image of the KTH authors, which overflowed: the sum of bytes modulo 256, over 80.

    Source:
        The authors' code, nlindqv/RRs-in-SENets: `tf.reduce_mean` of uint8 in TensorFlow 2.1; values 0 to 3.
    """
    return (images.sum(0, dtype=torch.int64) % 256 // 80).to(torch.uint8)


def kth_wrap(images: UInt8[Tensor, "n c h w"], mean: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "n c h w"]:
    """Subtract in bytes, as the KTH authors did: a pixel below the mean wraps to the top of the range.

    It is applied once, when the data set is loaded, before shift, flip and padding, as in their code.
    """
    return images - mean


@lru_cache  # a copy to the GPU in every batch would block it
def _column(values: tuple[float, ...], device: torch.device) -> Float[Tensor, "1 c 1 1"]:
    return torch.tensor(values, device=device).view(1, -1, 1, 1)
