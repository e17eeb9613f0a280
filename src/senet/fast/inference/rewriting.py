"""Rewriting of a traced network: norms into convolutions, blocks and sums into tails."""

import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from inspect import signature

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from senet.errors import SpecError
from senet.fast.conv_norm import Conv, Norm, fuse_norm, is_usual
from senet.fast.convolution.replace import PackedConv2d, is_available, is_tileable
from senet.fast.inference.chain import flat
from senet.fast.inference.commuted import CommutedTail, GatedTail, PlainTail
from senet.fast.inference.excitation import Excitation, LeftAlone, excitation, fuse_first
from senet.fast.inference.optimized import Treated
from senet.fast.listeners import is_plain
from senet.nn import SqueezeExcite
from senet.nn.layers import BATCH_NORMS, CONVS
from senet.torch_internals import become

__all__ = ["Rewriter"]

SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}
RELUS = {F.relu, torch.relu, torch.relu_, "relu", "relu_"}
TAILS = (CommutedTail, GatedTail, PlainTail)
FRESH = (*CONVS, *BATCH_NORMS, *TAILS)  # modules that return newly allocated memory


class Rewriter:
    """Rewrites one traced network."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.graph = traced.graph
        self.calls = Counter(node.target for node in self.graph.nodes if node.op == "call_module")
        self.sums = 0

    def fuse_norms(self) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """Fuse every norm that follows a convolution; return the names of these, and of the others with reasons."""
        fused: list[str] = []
        left: list[tuple[str, str]] = []
        for node in list(self.graph.nodes):
            name, norm = self._norm(node)
            if not name:
                continue
            before = node.all_input_nodes[0]
            conv = self._module(before)
            if norm is None:
                left.append((name, "it has no running statistics"))
            elif not isinstance(conv, CONVS):
                left.append((name, "it does not follow a convolution"))
            elif why := self._shared(before, node) or self._fuse(str(before.target), conv, norm):
                left.append((name, why))
            else:
                node.replace_all_uses_with(before)
                self.graph.erase_node(node)
                fused.append(name)
        return tuple(fused), tuple(left)

    def rectify_in_place(self) -> None:
        """Run ReLUs in place if nothing else reads their input."""
        for node in list(self.graph.nodes):
            if self._is_relu(node) and self._owned(x := node.all_input_nodes[0]):
                with self.graph.inserting_before(node):
                    node.replace_all_uses_with(self.graph.call_function(torch.relu_, (x,)))
                self.graph.erase_node(node)

    def treat_blocks(self, names: Sequence[str]) -> Iterator[Treated]:
        """Rewrite the blocks one by one, and yield what was done."""
        for node in [node for node in self.graph.nodes if node.op == "call_module" and node.target in names]:
            yield self._treat(node)

    def treat_sums(self) -> None:
        """Run residual sums without a block in place on their branch."""
        for node in list(self.graph.nodes):
            u = next((x for x in node.all_input_nodes if self._owned(x)), None) if _is_sum(node) else None
            if u is not None:
                r = next(x for x in node.all_input_nodes if x is not u)
                last, rectify = self._rectified(node)
                self._replace(last, PlainTail(rectify=rectify), [u, r], f"tails.sum{self.sums + 1}")

    def pack_convolutions(self) -> tuple[str, ...]:
        """Convert 3x3 convolutions, with a following ReLU, to Winograd's algorithm; return their names."""
        packed = []
        for node in list(self.graph.nodes):
            module = self._module(node)
            if not is_tileable(module) or module.weight.device.type != "cpu" or not is_available():
                continue
            become(module, PackedConv2d)
            packed.append(str(node.target))
            after = _only_user(node)
            if self.calls[node.target] == 1 and after is not None and after.target is torch.relu_:
                module.rectify = True  # type: ignore[assignment]  # attribute of its new class
                after.replace_all_uses_with(node)
                self.graph.erase_node(after)
        return tuple(packed)

    def finish(self) -> fx.GraphModule:
        """Check the graph, remove unused modules and recompile."""
        self.graph.eliminate_dead_code()
        self.graph.lint()
        self.traced.delete_all_unused_submodules()
        self.traced.recompile()
        return self.traced

    def _treat(self, node: fx.Node) -> Treated:
        name = str(node.target)
        block = self.traced.get_submodule(name)
        if self.calls[name] > 1:
            return Treated(name=name, why="left, the network calls it more than once")
        if len(node.args) != 1 or node.kwargs:
            return Treated(name=name, why="left, it is called with more arguments than the map")
        u = node.all_input_nodes[0]
        weigh: SqueezeExcite | Excitation
        try:
            weigh = excitation(block)
        except LeftAlone as error:
            if not isinstance(block, SqueezeExcite) or block.adds:
                return Treated(name=name, why=f"left, {error}")
            weigh, why = block, str(error)
        else:
            why = self._obstacle(u, node)
        last, shortcut = self._summed(node)
        last, rectify = self._rectified(last) if shortcut else (last, False)
        joined = " + ".join(["scale", *["sum"] * len(shortcut), *["relu"] * rectify])
        conv = self._module(u)
        if why or not isinstance(weigh, Excitation) or not isinstance(conv, CONVS):
            gate = flat(weigh) if isinstance(weigh, Excitation) else weigh
            gated = GatedTail(gate, rectify=rectify, own=self._owned(u))
            self._replace(last, gated, [u, *shortcut], f"{name}_tail")
            return Treated(name=name, joined=joined, native=gated.is_native(), why=f"the squeeze stays, {why}")
        fused = fuse_first(weigh, conv)
        tail = CommutedTail(conv, flat(weigh), rectify=rectify)
        self._replace(last, tail, [u.all_input_nodes[0], *shortcut], f"{name}_tail")
        return Treated(name=name, squeeze=str(u.target), fused=fused, joined=joined, native=tail.is_native())

    def _fuse(self, name: str, conv: Conv, norm: Norm) -> str:
        """Fuse a norm into a convolution; return why it cannot be."""
        try:
            self.traced.set_submodule(name, fuse_norm(conv, norm))
        except SpecError as error:
            return str(error).rstrip(".")
        return ""

    def _obstacle(self, u: fx.Node, block: fx.Node) -> str:
        """Return why the squeeze of a block cannot be moved before the node that computes its map; empty if it can."""
        conv = self._module(u)
        if isinstance(conv, TAILS):
            return "its map is a residual sum"
        if not isinstance(conv, CONVS):
            before = getattr(u.target, "__name__", u.target) if conv is None else type(conv).__name__
            return f"its map is the output of {str(before).rstrip('_')}, not of a convolution"
        if why := self._shared(u, block):
            return why
        if not is_usual(conv):
            return f"its convolution, {type(conv).__name__}, has a forward pass of its own"
        if set(conv.kernel_size) != {1} or conv.padding not in ((0,), (0, 0), (0, 0, 0)):
            return "the convolution before it is not 1x1, or is padded"
        if conv.in_channels >= conv.out_channels:
            return "the convolution before it does not increase the number of channels"
        return ""

    def _shared(self, before: fx.Node, node: fx.Node) -> str:
        """Return why a convolution and its successor cannot be fused; empty if they can."""
        if self.calls[before.target] > 1 or (node.op == "call_module" and self.calls[node.target] > 1):
            return "the network calls one of the two more than once"
        return "something else reads the map between them" if len(before.users) > 1 else ""

    def _summed(self, node: fx.Node) -> tuple[fx.Node, list[fx.Node]]:
        """Return the sum after a gate and the other summand; the gate itself and nothing if no sum follows."""
        after = _only_user(node)
        if after is None or not _is_sum(after):
            return node, []
        return after, [x for x in after.all_input_nodes if x is not node]

    def _rectified(self, node: fx.Node) -> tuple[fx.Node, bool]:
        """Return the ReLU after a node and True; the node itself and False if no ReLU follows."""
        after = _only_user(node)
        return (after, True) if after is not None and self._is_relu(after) else (node, False)

    def _replace(self, last: fx.Node, tail: nn.Module, inputs: list[fx.Node], target: str) -> None:
        self.sums += len(inputs) - 1
        self.traced.add_submodule(target, tail.eval())
        with self.graph.inserting_before(last):
            new = self.graph.call_module(target, tuple(inputs))
        last.replace_all_uses_with(new)
        self.graph.eliminate_dead_code()

    def _owned(self, node: fx.Node) -> bool:
        """Return whether a node returns newly allocated memory that exactly one other node reads."""
        fresh = isinstance(self._module(node), FRESH) or node.target is torch.relu_
        return fresh and len(node.users) == 1

    def _is_relu(self, node: fx.Node) -> bool:
        return type(self._module(node)) is nn.ReLU or node.target in RELUS

    def _norm(self, node: fx.Node) -> tuple[str, Norm | None]:
        """Return the name of a norm (empty for other nodes), and its values (None if they depend on the batch)."""
        module = self._module(node)
        if isinstance(module, BATCH_NORMS):
            mean, var = module.running_mean, module.running_var
            if mean is None or var is None:
                return str(node.target), None
            return str(node.target), Norm(mean, var, module.weight, module.bias, module.eps)
        if node.target is not F.batch_norm:
            return "", None
        given = signature(F.batch_norm).bind(*node.args, **node.kwargs).arguments
        mean, var, gamma, beta = (self._value(given.get(x)) for x in ("running_mean", "running_var", "weight", "bias"))
        name = str(getattr(given.get("running_mean"), "target", "batch_norm")).removesuffix(".running_mean")
        if mean is None or var is None or given.get("training"):
            return name, None
        return name, Norm(mean, var, gamma, beta, given.get("eps", 1e-5))

    def _value(self, node: object) -> Tensor | None:
        if not isinstance(node, fx.Node):
            return None
        owner, _, name = str(node.target).rpartition(".")
        value = getattr(self.traced.get_submodule(owner), name) if node.op == "get_attr" else None
        return value if isinstance(value, Tensor) else None

    def _module(self, node: fx.Node) -> nn.Module | None:
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        # a module with a hook is not rewritten, so that the hook runs
        return module if module is not None and is_plain(module) else None


def _is_sum(node: fx.Node) -> bool:
    """Return whether a node adds two different maps."""
    return node.target in SUMS and len(node.args) == len(node.all_input_nodes) == 2 and not node.kwargs


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
