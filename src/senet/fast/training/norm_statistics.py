"""Statistics of a fused batch norm: from the batch, from the batches of several processes, or running ones.

Letters in shapes: n images, c channels, h and w sizes.
"""

from typing import NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from senet.fast.kernels.backends import passes
from senet.fast.kernels.rows import combine

__all__ = ["Norm", "Normal", "normal", "uses_batch"]

Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
Row = Float[Tensor, " c"]


class Normal(NamedTuple):
    """Coefficients of a normalisation: `norm(u) = gamma k (u - centre) + beta = a u + b`.

    Attributes:
        gamma: weight of the norm, in the precision of the statistics.
        beta: bias of the norm, in the precision of the statistics.
        centre: mean of every channel.
        k: inverse standard deviation of every channel, 1 / sqrt(var + eps).
        a: slope.
        b: offset.
        values: values of a channel in the statistics; 0 for running statistics, which do not depend on u.
        mean: mean of every image and channel; None if not requested.
        variance: biased variance of every image and channel; None if not requested.
        group: processes that share the statistics; None for this process only.
    """

    gamma: Tensor
    beta: Tensor
    centre: Tensor
    k: Tensor
    a: Tensor
    b: Tensor
    values: int
    mean: Tensor | None
    variance: Tensor | None
    group: "dist.ProcessGroup | None"


def normal(u: Float[Tensor, "n c h w"], norm: Norm, backend: str, *, squeeze: bool = False) -> Normal:
    """Return the coefficients that normalise a map, and update the running statistics as torch does.

    Args:
        u: the map.
        norm: a batch norm with weights.
        backend: backend of the pass over the map.
        squeeze: compute the moments of every image and channel in evaluation mode too.
    """
    assert norm.weight is not None
    assert norm.bias is not None
    precise = torch.promote_types(u.dtype, torch.float32)
    gamma, beta = norm.weight.to(precise), norm.bias.to(precise)
    with torch.no_grad():
        if uses_batch(norm):
            mean, variance = passes(backend).moments(u)
            group = _group(norm)
            running, momentum = _running(norm)
            words = mean, variance, gamma, beta, running, momentum, norm.eps, u.shape[2] * u.shape[3]
            found = combine(*words, group) if group is not None else passes(backend).combine(*words)
            return Normal(gamma, beta, *found, mean, variance, group)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        centre, k = norm.running_mean.to(precise), torch.rsqrt(norm.running_var.to(precise) + norm.eps)
        a = gamma * k
        moments = passes(backend).moments(u) if squeeze else (None, None)
        return Normal(gamma, beta, centre, k, a, beta - a * centre, 0, moments[0], moments[1], None)


def uses_batch(norm: Norm) -> bool:
    """Return whether a norm uses the statistics of the batch rather than the running ones."""
    return norm.training or norm.running_mean is None


def _running(norm: Norm) -> tuple[tuple[Tensor, Tensor] | None, float]:
    """Return the running statistics that a pass updates, and the momentum; count the batch."""
    if not norm.training or not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return None, 0.0
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    momentum = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    return (norm.running_mean, norm.running_var), momentum


def _group(norm: Norm) -> "dist.ProcessGroup | None":
    """Return the process group of a synchronised norm; None for a single process."""
    if not isinstance(norm, nn.SyncBatchNorm) or not dist.is_available() or not dist.is_initialized():
        return None
    group = norm.process_group or dist.group.WORLD
    return group if dist.get_world_size(group) > 1 else None
