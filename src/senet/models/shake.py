"""Shake-shake regularization: two branches mixed with random weights that differ between forward and backward pass.

Letters in shapes: n images, c and d channels, h, w, p and q sizes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import unknown
from senet.nn import Gates, Residual, Site

__all__ = ["BACKWARD", "FORWARD", "SE_ON", "Shake", "mix", "shake_unit"]

FORWARD = ("shake", "even")
BACKWARD = ("shake", "even", "keep")
SE_ON = ("branch", "sum")


class Mix(torch.autograd.Function):
    """`alpha a + (1 - alpha) b`, with the gradients of `beta a + (1 - beta) b`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        """Mix with alpha."""
        return alpha * a + (1 - alpha) * b

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Save beta for the backward pass."""
        ctx.save_for_backward(inputs[3])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Split the gradient with beta."""
        (beta,), (grad,) = ctx.saved_tensors, grads
        return beta * grad, (1 - beta) * grad, None, None


def mix(
    a: Float[Tensor, "n c h w"],
    b: Float[Tensor, "n c h w"],
    alpha: Float[Tensor, "n 1 1 1"],
    beta: Float[Tensor, "n 1 1 1"],
) -> Float[Tensor, "n c h w"]:
    """Return `alpha a + (1 - alpha) b`, with the gradients of `beta a + (1 - beta) b`.

    Source:
        Gastaldi, arXiv:1705.07485, Eq. 2 and Figure 1.
    """
    mixed: Tensor = Mix.apply(a, b, alpha, beta)
    return mixed


def weight(noise: str, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 1 1"]:
    """Return one weight for every image: uniform in [0, 1] for `shake`, 0.5 for `even`."""
    shape = (x.shape[0], 1, 1, 1)
    return torch.rand(shape, device=x.device).to(x.dtype) if noise == "shake" else x.new_full(shape, 0.5)


class Shake(nn.Module):
    """Mix two branches of the same input: with random weights for every image in training, equally in evaluation.

    The weights are uniform in [0, 1], from torch's generator of the device; both are drawn in the forward pass.

    Args:
        branch1: weighted by alpha.
        branch2: weighted by 1 - alpha.
        forward_noise: `shake` draws alpha, `even` is 0.5.
        backward_noise: `shake` draws beta, `even` is 0.5, `keep` is alpha.

    Source:
        Gastaldi, arXiv:1705.07485, Table 1; level Image.
    """

    def __init__(
        self, branch1: nn.Module, branch2: nn.Module, *, forward_noise: str = "shake", backward_noise: str = "shake"
    ) -> None:
        super().__init__()
        if forward_noise not in FORWARD:
            raise unknown("forward_noise", forward_noise, FORWARD)
        if backward_noise not in BACKWARD:
            raise unknown("backward_noise", backward_noise, BACKWARD)
        self.branch1 = branch1
        self.branch2 = branch2
        self.forward_noise = forward_noise
        self.backward_noise = backward_noise

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d p q"]:
        """Apply both branches and mix their outputs."""
        a: Tensor = self.branch1(x)
        b: Tensor = self.branch2(x)
        if not self.training:
            return 0.5 * (a + b)
        alpha = weight(self.forward_noise, a)
        beta = alpha if self.backward_noise == "keep" else weight(self.backward_noise, a)
        return mix(a, b, alpha, beta)

    def extra_repr(self) -> str:
        """Show the noise settings."""
        return f"forward_noise={self.forward_noise}, backward_noise={self.backward_noise}"


def shake_unit(
    branch: Callable[[Mapping[str, nn.Module]], nn.Module],
    site: Site,
    *,
    shortcut: nn.Module | None,
    act: nn.Module | None,
    gates: Gates,
    se_on: str = "branch",
    forward_noise: str = "shake",
    backward_noise: str = "shake",
) -> Residual:
    """Build a residual unit with two branches mixed by `Shake`.

    Args:
        branch: builds one branch with the blocks of its slots `inner` and `standard`.
        site: site of the unit.
        shortcut: shortcut of the unit; None is the identity.
        act: activation after the sum; None applies none.
        gates: function that returns the blocks of a site; called once for each branch.
        se_on: `branch` puts a block of the slot `standard` at the end of each branch, `sum` one after the mixing.
        forward_noise: see `Shake`.
        backward_noise: see `Shake`.

    Source:
        Gastaldi, arXiv:1705.07485, Figure 1; the position of the block is our interpretation.
    """
    if se_on not in SE_ON:
        raise unknown("se_on", se_on, SE_ON)
    inside = ("inner", "standard") if se_on == "branch" else ("inner",)
    blocks = gates(site), gates(site)
    branch1, branch2 = (branch({slot: found[slot] for slot in inside if slot in found}) for found in blocks)
    return Residual(
        Shake(branch1, branch2, forward_noise=forward_noise, backward_noise=backward_noise),
        shortcut=shortcut,
        act=act,
        gates={slot: block for slot, block in blocks[0].items() if slot not in inside},
    )
