"""Computations between two passes over a map: the statistics of a norm, and its gradients in the backward pass.

Letters in shapes: n images, c channels. A row (c) is shared by all images.
"""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

__all__ = ["Group", "combine", "gradients"]

Matrix = Float[Tensor, "n c"]
Row = Float[Tensor, " c"]
Group = "dist.ProcessGroup | None"


def combine(
    mean: Matrix,
    variance: Matrix,
    gamma: Row,
    beta: Row,
    running: tuple[Tensor, Tensor] | None,
    momentum: float,
    eps: float,
    positions: int,
    group: "dist.ProcessGroup | None" = None,
) -> tuple[Row, Row, Row, Row, int]:
    """Combine the moments of the images by the law of total variance: var = mean_n v + var_n m.

    Args:
        mean: mean of every image and channel.
        variance: biased variance of every image and channel.
        gamma: weight of the norm.
        beta: bias of the norm.
        running: running mean and variance, updated as in torch; None without running statistics.
        momentum: momentum of the update.
        eps: epsilon of the norm.
        positions: positions of an image.
        group: processes that share the statistics; None for this process only.

    Returns:
        The mean mu and the inverse standard deviation k of every channel, a and b of `norm(u) = a u + b`, and the
        number of values of a channel.
    """
    total, centre = torch.var_mean(mean, dim=0, correction=0)
    total = total + variance.mean(0)
    count = mean.shape[0] * positions
    if group is not None:
        centre, total, count = _gathered(centre, total, count, group)
    if running is not None:
        running[0].lerp_(centre.to(running[0].dtype), momentum)
        running[1].lerp_((total * (count / (count - 1))).to(running[1].dtype), momentum)
    k = torch.rsqrt(total + eps)
    a = gamma * k
    return centre, k, a, beta - a * centre, count


def gradients(
    sg: Matrix,
    sgu: Matrix,
    s: Matrix | None,
    q: Matrix | None,
    e0: Matrix | None,
    e1: Matrix | None,
    gamma: Row,
    centre: Row,
    k: Row,
    positions: int,
    count: int,
    masked: bool,
    group: "dist.ProcessGroup | None" = None,
) -> tuple[Row, Row, Tensor, Row | None, Tensor | None, Matrix | None]:
    """Compute gradients and the coefficients of the second backward pass from the sums of the first.

    The gradient of the normalised map is `s g + q`; G0 = s sg + q e0 is its sum, and G1 = s sgu + q e1 the sum of its
    product with u.

    Args:
        sg: sums of g over positions.
        sgu: sums of g u.
        s: the gate; None is 1.
        q: gradient of the squeeze at each position; None is 0.
        e0: number of positions that q affects; None is all.
        e1: sum of u over these positions; required with q.
        gamma: weight of the norm.
        centre: the mean mu.
        k: inverse standard deviation.
        positions: positions of an image.
        count: values of a channel in the statistics; 0 for running statistics, which do not depend on u.
        masked: whether q is masked by a ReLU.
        group: processes that share the statistics; None for this process only.

    Returns:
        Gradients of gamma and beta, and A, B, C and D of `m (A g + D) + B u + C`.
    """
    G0, G1 = (sg, sgu) if s is None else (s * sg, s * sgu)
    if q is not None:
        assert e1 is not None
        G0, G1 = G0 + q * (positions if e0 is None else e0), G1 + q * e1
    dbeta = G0.sum(0)
    dgamma = k * (G1.sum(0) - centre * dbeta)
    slope = gamma * k
    A = slope if s is None else slope * s
    through = None if q is None else slope * q
    B = C = None
    if count:
        totals = torch.stack((dgamma, dbeta))
        if group is not None:
            dist.all_reduce(totals, group=group)
        B = -slope * k * totals[0] / count
        C = -slope * totals[1] / count - B * centre
    if through is not None and not masked:
        C = through if C is None else through + C
    return dgamma, dbeta, A, B, C, through if masked else None


def _gathered(centre: Row, variance: Row, count: int, group: "dist.ProcessGroup") -> tuple[Row, Row, int]:
    """Combine mean, variance and count of all processes, whose batches may differ in size."""
    mine = torch.cat((centre, variance, centre.new_tensor([count])))
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, mine, group=group)
    channels = len(centre)
    every = torch.stack(parts)
    share = every[:, 2 * channels :] / every[:, 2 * channels :].sum()
    whole = (share * every[:, :channels]).sum(0)
    spread = every[:, channels : 2 * channels] + (every[:, :channels] - whole) ** 2
    return whole, (share * spread).sum(0), int(every[:, -1].sum())
