"""`optimize`: rewrite a network for inference so that SE blocks cost almost nothing; outputs stay the same.

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
from senet.fast.conv_norm import expand_sizes
from senet.fast.inference.comparison import answers, ensure_alike
from senet.fast.inference.optimized import Report, Treated
from senet.fast.inference.rewriting import Rewriter
from senet.fast.inference.tracing import input_of, trace
from senet.fast.listeners import QUIET, modes
from senet.fast.training.accelerate import decelerate
from senet.surgery import find
from senet.surgery.insertion.refuse import refuse_wrapped

__all__ = ["Optimized", "copied", "optimize"]


class Optimized(nn.Module):
    """A network optimized for inference by `optimize`.

    Attributes:
        net: the traced network.
        report: what was rewritten.
    """

    def __init__(self, net: fx.GraphModule, report: Report) -> None:
        super().__init__()
        self.net = net
        self.report = report
        self.eval()

    def forward(self, x: Float[Tensor, "n c *s"]) -> Any:
        """Return the output of the original network."""
        if torch.compiler.is_compiling():
            return self.net(x)
        before, QUIET.modes = QUIET.modes, modes()
        try:
            return self.net(x)
        finally:
            QUIET.modes = before


@by_name
def optimize(model: nn.Module, *, shape: Sequence[int] | None = None) -> Optimized:
    """Return an equivalent network for inference with fewer passes over its maps.

    Norms are fused into the preceding convolutions. A block after a 1x1 convolution averages the input of the
    convolution, which has fewer channels, and its first layer is fused with the convolution. Gate and residual sum run
    in one pass; sums and ReLUs run in place. On a CPU, 3x3 convolutions in float32 and channels last need a quarter of
    the multiplications, and additional memory of 4 times their weights. Supports networks of senet and others that
    torch.fx can trace, with all blocks that `senet.find` finds.

    The result differs only by rounding, 1e-5 relative in float32. Before it is returned, it is compared with the
    original network on random images of two sizes and two batch sizes. This takes five forward passes of small images
    through each network, and temporarily the memory of another copy.

    Args:
        model: any network with one input, in any mode; it is not changed. The result behaves like the network in
            evaluation mode, with the defaults of all forward parameters except the first. Hooks on convolutions, norms
            and blocks do not run in the result.
        shape: shape of the images to compare on, `(n, c, ...)`; None tries the network's own input size and common
            ones.

    Returns:
        A new network in evaluation mode whose weights do not require gradients. `report` describes what was rewritten
        and what was not. It can be moved, cast, copied, pickled and exported; its weights have other names.

    Raises:
        SpecError: if the network cannot be traced, needs more than one input, accepts none of the shapes, has nothing
            to optimize, or returns other results after tracing.

    Source:
        Fusing norms: Jacob et al., arXiv:1712.05877, section 3.2.

    Example:
        >>> from senet import SESpec, create_model
        >>> report = optimize(create_model("resnet20", se=SESpec(reduction=4))).report
        >>> len(report.norms), report.blocks[0].joined
        (19, 'scale + sum + relu')
    """
    title = type(model).__name__
    if not isinstance(model, nn.Module):
        raise SpecError(f"model = {model!r} is not a network; pass a torch.nn.Module.")
    if any(isinstance(module, Optimized) for module in model.modules()):
        raise SpecError(f"model = {title} is already optimized; use it directly.")
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise SpecError(f"model = {title} is scripted or traced by torch.jit; pass the original network.")
    refuse_wrapped(model)
    refuse_lazy(model)
    copy = copied(model)
    found = find(copy)
    names = [one.name for one in found if not one.parts]
    if "" in names:
        raise SpecError(f"model = {title} is a single block; pass the network that it belongs to.")
    input_of(copy)  # raises before anything runs
    rewriter = Rewriter(trace(copy, leaves=names))
    norms, left = rewriter.fuse_norms()
    rewriter.rectify_in_place()
    left_blocks = [Treated(name=one.name, why=f"left, {one.left}") for one in found if one.parts]
    blocks = (*rewriter.treat_blocks(names), *left_blocks)
    rewriter.treat_sums()
    rewriter.rectify_in_place()
    if not norms and not any(block.joined for block in blocks):
        raise SpecError(
            f"model = {type(model).__name__} has no norm after a convolution and no SE block to rewrite; "
            "there is nothing to optimize, use it directly."
        )
    convolutions = rewriter.pack_convolutions()
    report = Report(norms=norms, left_norms=left, blocks=blocks, sums=rewriter.sums, convolutions=convolutions)
    fast = Optimized(rewriter.finish(), report)
    try:
        ensure_alike(fast, answers(copied(model), shape), title)
    except SpecError as error:
        hooked = [name or title for name, m in model.named_modules() if m._forward_hooks or m._forward_pre_hooks]
        if not hooked:
            raise
        raise SpecError(
            f"{error} Hooks do not run in the result; those of {', '.join(hooked[:3])} may be the reason: remove them."
        ) from error
    return fast


def copied(model: nn.Module) -> nn.Module:
    """Copy a network for evaluation, including tensors that are not leaves, which torch does not copy.

    Raises:
        SpecError: if an attribute of the network cannot be copied.
    """
    held = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    try:
        copy = deepcopy(model, {id(value): value.detach().clone() for value in held if not value.is_leaf})
    except Exception as error:  # e.g. a lock, a file or a generator as an attribute
        raise SpecError(
            f"model = {type(model).__name__} cannot be copied: {error}; remove the attribute that prevents it."
        ) from error
    copy.eval().requires_grad_(False)
    decelerate(copy)
    expand_sizes(copy)
    return copy
