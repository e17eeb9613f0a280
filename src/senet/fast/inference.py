"""`optimize`: a network for inference whose SE blocks cost little more than none. Results stay.

Letters in shapes: n images, c channels, *s sizes.
"""

from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from senet.errors import SpecError
from senet.fast.accelerate import decelerate
from senet.fast.folding import spell_out
from senet.fast.hooks import QUIET, modes
from senet.fast.rewriting import Rewriter
from senet.fast.tracing import trace
from senet.fast.treated import Report
from senet.surgery import find

__all__ = ["Optimized", "optimize"]


class Optimized(nn.Module):
    """A network for inference, made by `optimize`.

    Attributes:
        net: the traced network.
        report: what was done.
    """

    def __init__(self, net: fx.GraphModule, report: Report) -> None:
        super().__init__()
        self.net = net
        self.report = report
        self.eval()

    def forward(self, x: Float[Tensor, "n c *s"]) -> Tensor:
        """Give what the network gives that was optimized."""
        if torch.compiler.is_compiling():
            return self.net(x)  # type: ignore[no-any-return]
        before, QUIET.modes = QUIET.modes, modes()
        try:
            return self.net(x)  # type: ignore[no-any-return]
        finally:
            QUIET.modes = before


def optimize(model: nn.Module) -> Optimized:
    """Make a network for inference that computes the same with fewer passes over its maps.

    Norms go into the convolutions before them. A block behind a 1x1 convolution averages the input of the convolution,
    which has fewer channels, and its first layer is multiplied with the convolution. Gate and residual sum are one
    pass; sums and ReLUs take the memory of the map they read. On a CPU, 3x3 convolutions in float32 and channels last
    take a quarter of the products, and weights of 4 times the bytes beside their own. The result differs by rounding
    alone, 1e-5 relative in float32. Works on our networks and on others that torch.fx can trace, with the blocks that
    `senet.find` finds.

    Args:
        model: any network of one map, in any mode; it is neither changed nor shared. What it does in evaluation mode
            is kept. Hooks on its convolutions, norms and blocks do not run in the result.

    Returns:
        A new network in evaluation mode, without gradients for its weights. `report` says what was done and what was
        left alone. It can be moved, cast, copied, pickled and exported; its weights have other names.

    Raises:
        SpecError: if the network cannot be traced, or has nothing to optimize.

    Source:
        Folded norms: Jacob et al., arXiv:1712.05877, section 3.2.

    Example:
        >>> from senet import SESpec, create_model
        >>> report = optimize(create_model("resnet20", se=SESpec(reduction=4))).report
        >>> len(report.norms), report.blocks[0].joined
        (19, 'scale + sum + relu')
    """
    if any(isinstance(module, Optimized) for module in model.modules()):
        raise SpecError(f"model = {type(model).__name__} is optimized already; use it as it is.")
    copy = _copied(model).eval().requires_grad_(False)
    decelerate(copy)
    spell_out(copy)
    names = [found.name for found in find(copy)]
    if "" in names:
        raise SpecError(f"model = {type(model).__name__} is a block alone; give the network it belongs to.")
    rewriter = Rewriter(trace(copy, leaves=names))
    norms, left = rewriter.fold_norms()
    rewriter.rectify_in_place()
    blocks = tuple(rewriter.treat_blocks(names))
    rewriter.treat_sums()
    rewriter.rectify_in_place()
    if not norms and not any(block.joined for block in blocks):
        raise SpecError(
            f"model = {type(model).__name__} has no norm behind a convolution and no SE block to rewrite; "
            "there is nothing to optimize, use it as it is."
        )
    convolutions = rewriter.pack_convolutions()
    report = Report(norms=norms, left_norms=left, blocks=blocks, sums=rewriter.sums, convolutions=convolutions)
    return Optimized(rewriter.finish(), report)


def _copied(model: nn.Module) -> nn.Module:
    """Copy a network, also one whose pruned or normalised weights are results of others, which torch does not copy."""
    held = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return deepcopy(model, {id(value): value.detach().clone() for value in held if not value.is_leaf})
