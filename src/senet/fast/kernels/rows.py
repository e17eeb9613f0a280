"""What lies between two passes over a map: the statistics of a norm, and on the way back its gradients.

Letters in shapes: n images, c channels. A row (c) stands for all images.
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
        mean: of every image and channel.
        variance: ditto, biased.
        gamma: weight of the norm.
        beta: its bias.
        running: mean and variance to update as torch does; None for none.
        momentum: of the update.
        eps: of the norm.
        positions: of an image.
        group: processes that share the statistics; None is this one alone.

    Returns:
        The mean mu and one over the standard deviation k of every channel, a and b of `norm(u) = a u + b`, and the
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
    """Turn the sums of the first backward pass into gradients and into the coefficients of the second.

    The gradient of the normalised map is `s g + q`, of which G0 = s sg + q e0 and G1 = s sgu + q e1 are the sums and
    the sums of the product with u.

    Args:
        sg: sums of g over positions.
        sgu: sums of g u.
        s: the gate; None is 1.
        q: gradient of the squeeze for each position; None is 0.
        e0: number of positions that q reaches; None is all.
        e1: sum of u over these positions; wanted with q.
        gamma: weight of the norm.
        centre: mu.
        k: one over the standard deviation.
        positions: of an image.
        count: values of a channel in the statistics; 0 if they are running ones, which do not depend on u.
        masked: q is behind the mask of a ReLU.
        group: processes that share the statistics; None is this one alone.

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
    """Combine centre, variance and count of all processes; their batches may differ in size."""
    mine = torch.cat((centre, variance, centre.new_tensor([count])))
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, mine, group=group)
    channels = len(centre)
    every = torch.stack(parts)
    share = every[:, 2 * channels :] / every[:, 2 * channels :].sum()
    whole = (share * every[:, :channels]).sum(0)
    spread = every[:, channels : 2 * channels] + (every[:, :channels] - whole) ** 2
    return whole, (share * spread).sum(0), int(every[:, -1].sum())
