"""Norms of a descriptor, between the layers of an excitation. Letters in shapes: n images, c channels, *t sizes."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.nn.squeeze import wide

__all__ = ["BatchNorm", "ChannelNorm", "norm_of"]

EPSILON = 1e-6  # as timm's LayerNorm2d
GROUPS = 16  # of channels; the paper of LCT tunes their number
SMALLEST = 4  # channels of a group: one channel alone would be normalised to 0


class ChannelNorm(nn.Module):
    """Normalise a descriptor over its channels, at each position: `(z - mean) / sqrt(var + eps)`, or `z / rms`.

    Args:
        channels: channels of the descriptor.
        groups: groups of successive channels that are normalised separately.
        centred: whether the mean is subtracted; otherwise the divisor is the root mean square.
        affine: whether the result is scaled and shifted by learned numbers for each channel.
        device: of the numbers; None means torch's default.
        dtype: of the numbers; None means torch's default.

    Source:
        Ba et al., arXiv:1607.06450; groups: Wu and He, arXiv:1803.08494; `rms` is the channel normalisation of Yang et
        al., arXiv:1909.11519, Eq. 3: `sqrt(C) z / ||z||`.
    """

    def __init__(
        self,
        channels: int,
        *,
        groups: int = 1,
        centred: bool = True,
        affine: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.groups, self.centred = groups, centred
        self.weight = nn.Parameter(torch.ones(channels, device=device, dtype=dtype)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype)) if affine else None

    def forward(self, z: Float[Tensor, "n c *t"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
        """Normalise a descriptor, in float32 if it has half precision; `dims` is the number of its sizes."""
        y = torch.unflatten(wide(z), 1, (self.groups, -1)).transpose(1, 2)  # n, channels of a group, groups
        y = y - y.mean(1, keepdim=True) if self.centred else y
        y = y * (y.square().mean(1, keepdim=True) + EPSILON).rsqrt()
        y = y.transpose(1, 2).flatten(1, 2)
        if self.weight is not None and self.bias is not None:
            shape = (-1, *[1] * (z.ndim - 2 if dims is None else dims))
            y = y * self.weight.reshape(shape) + self.bias.reshape(shape)
        return y.to(z.dtype)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"groups={self.groups}, centred={self.centred}, affine={self.weight is not None}"


class BatchNorm(nn.BatchNorm1d):
    """Batch norm of a descriptor of any dimensions.

    In training mode, a single image uses the running statistics: the last batch of an epoch may have one.
    """

    def forward(self, z: Float[Tensor, "n c *t"], *, dims: int | None = None) -> Float[Tensor, "n c *t"]:
        """Normalise a descriptor; `dims` is the number of its sizes."""
        sizes = z.ndim - 2 if dims is None else dims
        flat = z.flatten(2) if sizes > 1 else z
        symbolic = not isinstance(z, Tensor)
        single = not symbolic and flat.numel() == flat.shape[1]
        if symbolic or (self.training and single):
            known = (self.running_mean, self.running_var, self.weight, self.bias)
            flat = F.batch_norm(flat, *known, training=self.training and not single, eps=self.eps)
        else:
            flat = super().forward(flat)
        return torch.unflatten(flat, 2, z.shape[2:]) if sizes > 1 else flat


def norm_of(
    name: str,
    channels: int,
    *,
    affine: bool,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module | None:
    """Return the norm of a name of `NORM_NAMES` for a descriptor of `channels`; None for `none`."""
    if name == "none":
        return None
    if name == "batch":
        return BatchNorm(channels, affine=affine, device=device, dtype=dtype)
    groups = 1
    if name == "group":
        fits = (g for g in range(1, GROUPS + 1) if channels % g == 0 and channels // g >= SMALLEST)
        groups = max(fits, default=1)
    return ChannelNorm(channels, groups=groups, centred=name != "rms", affine=affine, device=device, dtype=dtype)
