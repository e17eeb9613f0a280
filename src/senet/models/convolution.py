"""Building blocks that all families share: convolution, norm and activation, and parallel branches.

Letters in shapes: n images, c and d channels, h, w, p and q sizes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.nn import chain

__all__ = ["Concat", "conv", "conv_norm_act"]

Kernel = int | tuple[int, int]


def conv(
    inputs: int, outputs: int, kernel: Kernel, *, stride: int = 1, groups: int = 1, valid: bool = False
) -> nn.Conv2d:
    """Build a convolution without bias, padded to keep the size at stride 1, or without padding (`valid`)."""
    k, m = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (0, 0) if valid else (k // 2, m // 2)
    return nn.Conv2d(inputs, outputs, (k, m), stride=stride, padding=padding, groups=groups, bias=False)


def conv_norm_act(
    inputs: int, outputs: int, kernel: Kernel, *, stride: int = 1, valid: bool = False, eps: float = 1e-5
) -> nn.Sequential:
    """Build a convolution without bias, a norm and a ReLU: `conv`, `norm`, `act`."""
    return chain(
        conv=conv(inputs, outputs, kernel, stride=stride, valid=valid),
        norm=nn.BatchNorm2d(outputs, eps=eps),
        act=nn.ReLU(),
    )


class Concat(nn.Module):
    """Apply named branches to one map and concatenate their outputs along the channels; skip branches that are None."""

    def __init__(self, **branches: nn.Module | None) -> None:
        super().__init__()
        for name, branch in branches.items():
            if branch is not None:
                self.add_module(name, branch)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d p q"]:
        """Apply all branches and concatenate their outputs."""
        return torch.cat([branch(x) for branch in self.children()], dim=1)
