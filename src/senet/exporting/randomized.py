"""Random norms: a network whose branches are not zero, which a fresh one's are, so that a wrong export shows."""

import torch
from torch import nn

__all__ = ["randomize"]

NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


@torch.no_grad()
def randomize(model: nn.Module) -> None:
    """Set the statistics, scales and shifts of the norms of a network to random values.

    Parameters that are zero everywhere, such as the scales of fresh branches and the last layers of inserted blocks,
    become random too.

    Args:
        model: the network; changed in place.
    """
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        mean, variance = getattr(module, "running_mean", None), getattr(module, "running_var", None)
        if isinstance(mean, torch.Tensor) and isinstance(variance, torch.Tensor):
            mean.normal_(0, 0.1, generator=generator)
            variance.uniform_(0.5, 1.5, generator=generator)
        if isinstance(module, NORMS):
            for parameter, (low, high) in ((module.weight, (0.5, 1.5)), (module.bias, (-0.1, 0.1))):
                if parameter is not None:
                    parameter.uniform_(low, high, generator=generator)
    for parameter in model.parameters():
        if not parameter.any():
            parameter.uniform_(0.1, 0.5, generator=generator)
