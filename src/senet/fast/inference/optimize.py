"""`optimize`: a network for inference whose SE blocks cost little more than none. Results stay.

Letters in shapes: n images, c channels, *s sizes.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from senet.calls import by_name
from senet.dataflow.twin import refuse_lazy
from senet.errors import SpecError
from senet.fast.inference.comparison import answers, ensure_alike
from senet.fast.inference.optimized import Report, Treated
from senet.fast.inference.rewriting import Rewriter
from senet.fast.inference.tracing import input_of, trace
from senet.fast.listeners import QUIET, modes
from senet.fast.norm_folding import spell_out
from senet.fast.training.accelerate import decelerate
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

    def forward(self, x: Float[Tensor, "n c *s"]) -> Any:
        """Return what the network returns that was optimized."""
        if torch.compiler.is_compiling():
            return self.net(x)
        before, QUIET.modes = QUIET.modes, modes()
        try:
            return self.net(x)
        finally:
            QUIET.modes = before


@by_name
def optimize(model: nn.Module, *, shape: Sequence[int] | None = None) -> Optimized:
    """Make a network for inference that computes the same with fewer passes over its maps.

    Norms go into the convolutions before them. A block behind a 1x1 convolution averages the input of the convolution,
    which has fewer channels, and its first layer is multiplied with the convolution. Gate and residual sum are one
    pass; sums and ReLUs take the memory of the map they read. On a CPU, 3x3 convolutions in float32 and channels last
    take a quarter of the products, and weights of 4 times the bytes beside their own. Works on our networks and on
    others that torch.fx can trace, with the blocks that `senet.find` finds.

    The result differs by rounding alone, 1e-5 relative in float32. Before it is returned it is compared with the
    network on random images: two sizes, two numbers of images. That costs five forward passes of small images on
    each of the two, and while it lasts the memory of one more copy of the network.

    Args:
        model: any network of one map, in any mode; it is neither changed nor shared. What it does in evaluation mode
            is kept, with the defaults of all parameters but the first. Hooks on its convolutions, norms and blocks do
            not run in the result.
        shape: of the images to compare on, `(n, c, ...)`; None tries what the network says itself and usual sizes.

    Returns:
        A new network in evaluation mode, without gradients for its weights. `report` says what was done and what was
        left alone. It can be moved, cast, copied, pickled and exported; its weights have other names.

    Raises:
        SpecError: if the network cannot be traced, asks for more than one input, runs on none of the shapes, has
            nothing to optimize, or computes something else once it is traced.

    Source:
        Folded norms: Jacob et al., arXiv:1712.05877, section 3.2.

    Example:
        >>> from senet import SESpec, create_model
        >>> report = optimize(create_model("resnet20", se=SESpec(reduction=4))).report
        >>> len(report.norms), report.blocks[0].joined
        (19, 'scale + sum + relu')
    """
    title = type(model).__name__
    if not isinstance(model, nn.Module):
        raise SpecError(f"model = {model!r} is not a network; give a torch.nn.Module.")
    if any(isinstance(module, Optimized) for module in model.modules()):
        raise SpecError(f"model = {title} is optimized already; use it as it is.")
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise SpecError(f"model = {title} is scripted or traced by torch.jit; give the network it was made from.")
    refuse_lazy(model)
    copy = _copied(model)
    found = find(copy)
    names = [one.name for one in found if not one.left]
    if "" in names:
        raise SpecError(f"model = {title} is a block alone; give the network it belongs to.")
    input_of(copy)  # refused before anything runs
    rewriter = Rewriter(trace(copy, leaves=names))
    norms, left = rewriter.fold_norms()
    rewriter.rectify_in_place()
    left_blocks = [Treated(name=one.name, why=f"left, {one.left}") for one in found if one.left]
    blocks = (*rewriter.treat_blocks(names), *left_blocks)
    rewriter.treat_sums()
    rewriter.rectify_in_place()
    if not norms and not any(block.joined for block in blocks):
        raise SpecError(
            f"model = {type(model).__name__} has no norm behind a convolution and no SE block to rewrite; "
            "there is nothing to optimize, use it as it is."
        )
    convolutions = rewriter.pack_convolutions()
    report = Report(norms=norms, left_norms=left, blocks=blocks, sums=rewriter.sums, convolutions=convolutions)
    fast = Optimized(rewriter.finish(), report)
    ensure_alike(fast, answers(_copied(model), shape), title)
    return fast


def _copied(model: nn.Module) -> nn.Module:
    """Copy a network for evaluation, also one whose weights are results of others, which torch does not copy.

    Raises:
        SpecError: if it holds what cannot be copied.
    """
    held = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    try:
        copy = deepcopy(model, {id(value): value.detach().clone() for value in held if not value.is_leaf})
    except Exception as error:  # a lock, a file, a generator: whatever the network holds
        raise SpecError(f"model = {type(model).__name__} cannot be copied: {error}; take out what it holds.") from error
    copy.eval().requires_grad_(False)
    decelerate(copy)
    spell_out(copy)
    return copy
