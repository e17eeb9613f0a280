"""The residual unit and its five block slots. Letters in shapes: n images, c and d channels, *s and *t sizes."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError

__all__ = ["RESIDUAL_SLOTS", "Residual"]

RESIDUAL_SLOTS = ("standard", "pre", "post", "identity", "inner")


class Residual(nn.Module):
    """Add a branch to a shortcut: `y = post(act(standard(branch(pre(x))) + identity(shortcut(x))))`.

    The fifth slot, `inner`, is inside the branch, after the spatial convolution; each network family places it there.
    Only filled slots have a child module: `se` (standard), `se_pre`, `se_post`, `se_identity`.

    Args:
        branch: the residual branch.
        shortcut: maps the input to the shape of the branch's output; None is the identity.
        act: activation after the addition; None applies none.
        head: layers that the branch and the shortcut share, e.g. the norm and ReLU of a pre-activation unit.
        gates: blocks by slot; that of `inner` must already be in `branch`.

    Raises:
        SpecError: if `gates` names a slot that does not exist.

    Source:
        He et al., arXiv:1512.03385 and 1603.05027; slots: Hu et al., arXiv:1709.01507, Figure 5 and Table 15.
    """

    def __init__(
        self,
        branch: nn.Module,
        *,
        shortcut: nn.Module | None = None,
        act: nn.Module | None = None,
        head: nn.Module | None = None,
        gates: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        gates = gates or {}
        if unknown_names := set(gates) - set(RESIDUAL_SLOTS):
            raise SpecError(
                f"gates = {sorted(unknown_names)} is not a slot of a residual unit; choose from {RESIDUAL_SLOTS}."
            )
        self.head = head
        self.se_pre = gates.get("pre")
        self.branch = branch
        self.se = gates.get("standard")
        self.shortcut = shortcut
        self.se_identity = gates.get("identity")
        self.act = act
        self.se_post = gates.get("post")

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n d *t"]:
        """Apply the unit."""
        x = _through(self.head, x)
        y = _through(self.se, self.branch(_through(self.se_pre, x)))
        y = y + _through(self.se_identity, _through(self.shortcut, x))
        return _through(self.se_post, _through(self.act, y))


def _through(module: nn.Module | None, x: Tensor) -> Tensor:
    return x if module is None else module(x)
