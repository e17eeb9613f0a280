"""Gate functions and hidden activations by name; each maps one tensor to one of the same shape."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "ACTIVATIONS",
    "GATES",
    "add",
    "gaussian",
    "none",
    "residual_sigmoid",
    "unit_hard_sigmoid",
    "unit_sigmoid",
    "unit_tanh",
]


def unit_sigmoid(z: Tensor) -> Tensor:
    """Gate with values in (0, 2) that is exactly 1 at 0."""
    return 2 * torch.sigmoid(z)


def unit_tanh(z: Tensor) -> Tensor:
    """Gate with values in (0, 2) that is exactly 1 at 0, twice as steep there as `unit_sigmoid`."""
    return 1 + torch.tanh(z)


def unit_hard_sigmoid(z: Tensor) -> Tensor:
    """Gate with values in [0, 2] that is exactly 1 at 0."""
    return 2 * F.hardsigmoid(z)


def gaussian(z: Tensor) -> Tensor:
    """Gate with values in (0, 1] that is exactly 1 at 0 and falls on both sides: `exp(-z^2 / 2c^2)` with c = 2.

    Source:
        Ruan et al., Gaussian Context Transformer, CVPR 2021, Eq. 5.
    """
    return torch.exp(z.square() * -0.125)


def add(z: Tensor) -> Tensor:
    """Return the logits: a block with this gate adds them to the map instead of multiplying.

    Source:
        Cao et al., arXiv:1904.11492, Eq. 6.
    """
    return z


def residual_sigmoid(z: Tensor) -> Tensor:
    """Gate with values in (1, 2): `x * (1 + sigmoid)` is `x + x * s`.

    Source:
        The later public code of the author of arXiv:2304.06502.
    """
    return 1 + torch.sigmoid(z)


def none(z: Tensor) -> Tensor:
    """Apply no activation: two consecutive layers are then one linear map of the smaller rank."""
    return z


GATES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "hard_sigmoid": F.hardsigmoid,
    "unit_sigmoid": unit_sigmoid,
    "unit_tanh": unit_tanh,
    "unit_hard_sigmoid": unit_hard_sigmoid,
    "residual_sigmoid": residual_sigmoid,
    "gaussian": gaussian,
    "add": add,
}
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "silu": F.silu,
    "gelu": F.gelu,
    "leaky_relu": F.leaky_relu,
    "hard_swish": F.hardswish,
    "none": none,
}
