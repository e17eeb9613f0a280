"""The passes as registered operators, which `torch.compile` and `torch.export` keep as opaque nodes of their graphs.

Each pass is a custom operator with a shape function. At run time it dispatches on the device of its map: to C++,
Triton, or plain torch if neither can run.
"""

import torch
from torch import Tensor

from senet.fast.kernels.backends import live
from senet.fast.kernels.passes import MaybeTensor, Passes
from senet.fast.kernels.rows import combine, gradients

__all__ = ["OPERATORS"]


def matrix(u: Tensor) -> Tensor:
    return u.new_empty(u.shape[:2], dtype=torch.float32)


@torch.library.custom_op("senet::moments", mutates_args=())
def moments(u: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance over positions."""
    mean, variance = live(u).moments(u)
    return mean.clone(), variance.clone()  # results of an operator must not share memory


moments.register_fake(lambda u: (matrix(u), matrix(u)))


@torch.library.custom_op("senet::apply", mutates_args=())
def apply(u: Tensor, r: MaybeTensor, a: Tensor, b: Tensor, e: MaybeTensor, post: MaybeTensor, relu: bool) -> Tensor:
    """Return post relu(a u + b + e r)."""
    return live(u).apply(u, r, a, b, e, post, relu)


apply.register_fake(lambda u, *rest: torch.empty_like(u))


@torch.library.custom_op("senet::rectified_sum", mutates_args=())
def rectified_sum(u: Tensor, r: MaybeTensor, a: Tensor, b: Tensor) -> Tensor:
    """Sum relu(a u + b + r) over positions."""
    return live(u).rectified_sum(u, r, a, b).clone()


rectified_sum.register_fake(lambda u, *rest: matrix(u))


@torch.library.custom_op("senet::mask", mutates_args=())
def masked(dy: Tensor, y: Tensor, u: Tensor, r: MaybeTensor) -> list[Tensor]:
    """Return the gradient masked by the ReLU, and its sums."""
    g, *sums = live(dy).mask(dy, y, u, r)
    return [g, *(part.clone() for part in sums)]


masked.register_fake(lambda dy, y, u, r: [torch.empty_like(u), *(matrix(u) for _ in range(2 if r is None else 3))])


@torch.library.custom_op("senet::sums", mutates_args=())
def sums(dy: Tensor, u: Tensor) -> list[Tensor]:
    """Return the sums of a gradient and of its product with u."""
    return [part.clone() for part in live(dy).mask(dy, None, u, None)[1:]]


sums.register_fake(lambda dy, u: [matrix(u), matrix(u)])


@torch.library.custom_op("senet::masked_sums", mutates_args=())
def masked_sums(dy: Tensor, u: Tensor, a: Tensor, b: Tensor, full: bool) -> list[Tensor]:
    """Sum m dy and m dy u, and if full m and m u."""
    return [part.clone() for part in live(dy).masked_sums(dy, u, a, b, full)]


masked_sums.register_fake(lambda dy, u, a, b, full: [matrix(u) for _ in range(4 if full else 2)])


@torch.library.custom_op("senet::finish", mutates_args=())
def finish(
    g: Tensor, u: Tensor, A: Tensor, B: MaybeTensor, C: MaybeTensor, D: MaybeTensor, a: MaybeTensor, b: MaybeTensor
) -> Tensor:
    """Return m (A g + D) + B u + C."""
    return live(g).finish(g, u, A, B, C, D, a, b)


finish.register_fake(lambda g, u, *rest: torch.empty_like(u))


def mask(dy: Tensor, y: MaybeTensor, u: Tensor, r: MaybeTensor) -> tuple[Tensor, ...]:
    """Compute `Passes.mask` with one of two operators, as an operator must not return its argument."""
    return (dy, *sums(dy, u)) if y is None else tuple(masked(dy, y, u, r))


OPERATORS = Passes(
    moments=moments,
    combine=combine,
    gradients=gradients,
    apply=apply,
    rectified_sum=rectified_sum,
    mask=mask,
    masked_sums=masked_sums,
    finish=finish,
)
