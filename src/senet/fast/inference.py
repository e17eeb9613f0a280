"""`optimize`: a network for inference whose SE blocks cost little more than none. Results stay."""

import operator
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, fx, nn

from senet.errors import SpecError
from senet.fast.commuted import CommutedTail, GatedTail, PlainTail
from senet.fast.excitation import Excitation, LeftAlone, excitation, fold_first
from senet.fast.folding import CONVS, NORMS, fold_norm, obstacle
from senet.fast.tracing import trace
from senet.nn import SqueezeExcite
from senet.surgery import find

__all__ = ["Optimized", "Report", "Treated", "optimize"]

SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}
RELUS = {F.relu, torch.relu, torch.relu_, "relu", "relu_"}
TAILS = (CommutedTail, GatedTail, PlainTail)
FRESH = (*CONVS, *NORMS, *TAILS)  # modules whose output is memory of its own


@dataclass(frozen=True, kw_only=True)
class Treated:
    """What was done to one SE block.

    Attributes:
        name: path of the block in the network that was given.
        squeeze: name of the convolution whose input is averaged in place of the block's own; empty if the map that
            is gated is averaged itself.
        folded: whether that convolution is multiplied into the first layer of the excitation.
        joined: what shares the pass of the gate: `scale`, `scale + sum` or `scale + sum + relu`; empty if the block
            runs as it was.
        why: what was left alone, and the reason; empty if nothing was.
    """

    name: str
    squeeze: str
    folded: bool
    joined: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `optimize` did.

    Attributes:
        norms: names of the norms that went into a convolution.
        left_norms: names of the others, with the reason.
        blocks: the SE blocks in the order in which they run.
        sums: residual sums that take the memory of their branch, with their ReLU; those of blocks included.
    """

    norms: tuple[str, ...]
    left_norms: tuple[tuple[str, str], ...]
    blocks: tuple[Treated, ...]
    sums: int

    def __str__(self) -> str:
        early = sum(bool(block.squeeze) for block in self.blocks)
        lines = [
            f"{len(self.norms)} norms folded, {len(self.left_norms)} left; {self.sums} sums in place; "
            f"{early} of {len(self.blocks)} blocks squeezed before their convolution"
        ]
        lines += [f"  {name}: left, {why}" for name, why in self.left_norms]
        for block in self.blocks:
            done = [f"averages the input of {block.squeeze}"] if block.squeeze else []
            done += ["first layer folded"] if block.folded else []
            done += [block.joined] if block.joined else []
            done += [block.why] if block.why else []
            lines.append(f"  {block.name}: {'; '.join(done)}")
        return "\n".join(lines)


class Optimized(nn.Module):
    """A network for inference, made by `optimize`.

    Attributes:
        graph: the traced network.
        report: what was done.
    """

    def __init__(self, graph: fx.GraphModule, report: Report) -> None:
        super().__init__()
        self.graph = graph
        self.report = report
        self.eval()

    def forward(self, x: Float[Tensor, "n c *s"]) -> Tensor:
        """Give what the network gives that was optimized."""
        y: Tensor = self.graph(x)
        return y


def optimize(model: nn.Module) -> Optimized:
    """Make a network for inference that computes the same with fewer passes over its maps.

    Norms go into the convolutions before them. A block behind a 1x1 convolution averages the input of the convolution,
    which has fewer channels, and its first layer is multiplied with the convolution. Gate and residual sum are one
    pass; sums and ReLUs take the memory of the map they read. The result differs by rounding alone, 1e-5 relative in
    float32. Works on our networks and on others that torch.fx can trace, with the blocks that `senet.find` finds.

    Args:
        model: any network of one map, in any mode; it is neither changed nor shared. Its behaviour in evaluation mode
            is what is kept. Hooks on convolutions, norms and blocks do not run in the result.

    Returns:
        A new network without gradients, in evaluation mode. `report` says what was done and what was left alone. It
        can be moved, cast, pickled and exported; its weights have other names.

    Raises:
        SpecError: if the network cannot be traced, or has nothing to optimize.

    Source:
        Folded norms: Jacob et al., arXiv:1712.05877, section 3.2. The early squeeze: docs/fast.md.

    Example:
        >>> from senet import SESpec, create_model
        >>> report = optimize(create_model("resnet20", se=SESpec(reduction=4))).report
        >>> len(report.norms), report.blocks[0].joined
        (19, 'scale + sum + relu')
    """
    if any(isinstance(module, Optimized) for module in model.modules()):
        raise SpecError(f"model = {type(model).__name__} is optimized already; use it as it is.")
    copy = deepcopy(model).eval().requires_grad_(False)
    names = [found.name for found in find(copy)]
    if "" in names:
        raise SpecError(f"model = {type(model).__name__} is a block alone; give the network it belongs to.")
    rewriter = _Rewriter(trace(copy, leaves=names))
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
    return Optimized(rewriter.finish(), Report(norms=norms, left_norms=left, blocks=blocks, sums=rewriter.sums))


class _Rewriter:
    """One traced network while it is rewritten."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.graph = traced.graph
        self.calls = Counter(node.target for node in self.graph.nodes if node.op == "call_module")
        self.sums = 0

    def fold_norms(self) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """Fold every norm that comes right behind a convolution; give the names of the folded and of the others."""
        folded: list[str] = []
        left: list[tuple[str, str]] = []
        for node in list(self.graph.nodes):
            norm = self._module(node)
            if type(norm) not in NORMS:
                continue
            before = node.args[0]
            why = self._shared(before, node) or obstacle(self.traced.get_submodule(str(before.target)), norm)
            if why:
                left.append((str(node.target), why))
                continue
            conv = self.traced.get_submodule(str(before.target))
            self.traced.set_submodule(str(before.target), fold_norm(conv, norm))
            node.replace_all_uses_with(before)
            self.graph.erase_node(node)
            folded.append(str(node.target))
        return tuple(folded), tuple(left)

    def treat_blocks(self, names: list[str]) -> Iterator[Treated]:
        """Rewrite the blocks one after the other."""
        for node in [node for node in self.graph.nodes if node.op == "call_module" and node.target in names]:
            yield self._treat(node)

    def treat_sums(self) -> None:
        """Let the residual sums that no block joined take the memory of their branch."""
        for node in list(self.graph.nodes):
            if self._is_sum(node):
                u = next((arg for arg in node.args if self._owned(arg)), None)
                if u is not None:
                    r = next(arg for arg in node.args if arg is not u)
                    last, joined = self._until(node)
                    self._replace(last, PlainTail(rectify=joined.endswith("relu")), [u, r], f"tails.sum{self.sums + 1}")

    def rectify_in_place(self) -> None:
        """Let ReLUs take the memory of their input where nothing else reads it."""
        for node in list(self.graph.nodes):
            if self._is_relu(node) and self._owned(node.args[0]):
                with self.graph.inserting_before(node):
                    node.replace_all_uses_with(self.graph.call_function(torch.relu_, (node.args[0],)))
                self.graph.erase_node(node)

    def finish(self) -> fx.GraphModule:
        """Check the graph, drop unused modules, compile."""
        self.graph.eliminate_dead_code()
        self.graph.lint()
        self.traced.delete_all_unused_submodules()
        self.traced.recompile()
        return self.traced

    def _treat(self, node: fx.Node) -> Treated:
        name, u = str(node.target), node.args[0]
        block = self.traced.get_submodule(name)
        if self.calls[name] > 1 or len(node.args) != 1 or node.kwargs:
            return Treated(name=name, squeeze="", folded=False, joined="", why="left, the network calls it twice")
        try:
            weigh: SqueezeExcite | Excitation = excitation(block)
            why = ""
        except LeftAlone as error:
            why = f"the squeeze stays, {error}"
            if not isinstance(block, SqueezeExcite):
                return Treated(name=name, squeeze="", folded=False, joined="", why=f"left, {error}")
            weigh = block
        why = why or self._keeps(u, node)
        last, joined = self._until(node)
        arguments = [u]
        if joined != "scale":
            add = next(iter(node.users))
            arguments.append(next(arg for arg in add.args if arg is not node))
        rectify = joined.endswith("relu")
        if why:
            own = self._owned(u)
            self._replace(last, GatedTail(weigh, rectify=rectify, own=own), arguments, f"{name}_tail")
            return Treated(name=name, squeeze="", folded=False, joined=joined, why=why)
        assert isinstance(weigh, Excitation)
        squeeze = str(u.target)
        conv = self.traced.get_submodule(squeeze)
        folded = fold_first(weigh, conv)
        arguments[0] = u.args[0]
        self._replace(last, CommutedTail(conv, weigh, rectify=rectify), arguments, f"{name}_tail")
        return Treated(name=name, squeeze=squeeze, folded=folded, joined=joined, why="")

    def _keeps(self, u: fx.Node, block: fx.Node) -> str:
        """Say why a squeeze cannot come before what gives its map; empty if it can."""
        conv = self._module(u)
        if isinstance(conv, TAILS):
            return "the squeeze stays, a residual sum gives its map"
        if type(conv) not in CONVS:
            before = type(conv).__name__ if conv is not None else getattr(u.target, "__name__", u.target)
            return f"the squeeze stays, {before} and no convolution gives its map"
        if why := self._shared(u, block):
            return f"the squeeze stays, {why}"
        if set(conv.kernel_size) != {1} or any(conv.padding):
            return "the squeeze stays, the convolution before it is wider than 1x1 and its input is no smaller map"
        if conv.in_channels >= conv.out_channels:
            return "the squeeze stays, the input of the convolution before it has as many channels as its output"
        return ""

    def _shared(self, before: object, node: fx.Node) -> str:
        """Say why a node and the module before it are no pair of their own; empty if they are."""
        if not isinstance(before, fx.Node) or before.op != "call_module":
            return "what comes before it is no module"
        if self.calls[before.target] > 1 or self.calls[node.target] > 1:
            return "the network calls one of the two twice"
        if len(before.users) > 1:
            return "something else reads the map between the two"
        return ""

    def _until(self, node: fx.Node) -> tuple[fx.Node, str]:
        """Follow a gate or a sum to the sum and the ReLU behind it; give the last node and what is joined."""
        last, joined = (node, "") if self._is_sum(node) else (node, "scale")
        after = next(iter(node.users)) if len(node.users) == 1 else None
        if joined and after is not None and self._is_sum(after) and after.args[0] is not after.args[1]:
            last, joined = after, "scale + sum"
        if joined != "scale":
            after = next(iter(last.users)) if len(last.users) == 1 else None
            if after is not None and self._is_relu(after):
                last, joined = after, f"{joined} + relu"
        return last, joined

    def _replace(self, last: fx.Node, module: nn.Module, arguments: list[fx.Node], target: str) -> None:
        self.sums += len(arguments) - 1
        self.traced.add_submodule(target, module.eval())
        with self.graph.inserting_before(last):
            new = self.graph.call_module(target, tuple(arguments))
        last.replace_all_uses_with(new)
        self.graph.eliminate_dead_code()

    def _owned(self, node: object) -> bool:
        """Tell whether a node gives memory of its own that one other node reads."""
        if not isinstance(node, fx.Node) or len(node.users) != 1:
            return False
        return type(self._module(node)) in FRESH or node.target is torch.relu_

    def _is_sum(self, node: fx.Node) -> bool:
        both = len(node.args) == 2 and all(isinstance(arg, fx.Node) for arg in node.args)
        return node.target in SUMS and both and not node.kwargs

    def _is_relu(self, node: fx.Node) -> bool:
        return type(self._module(node)) is nn.ReLU or node.target in RELUS

    def _module(self, node: object) -> nn.Module | None:
        if not isinstance(node, fx.Node) or node.op != "call_module":
            return None
        return self.traced.get_submodule(str(node.target))
