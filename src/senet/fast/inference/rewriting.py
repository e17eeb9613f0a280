"""The rewriting of one traced network: norms into convolutions, blocks and sums into tails."""

import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from inspect import signature

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from senet.fast.convolution.replace import PackedConv2d, is_available, is_tileable
from senet.fast.inference.chain import flat
from senet.fast.inference.commuted import CommutedTail, GatedTail, PlainTail
from senet.fast.inference.excitation import Excitation, LeftAlone, excitation, fold_first
from senet.fast.inference.optimized import Treated
from senet.fast.listeners import is_plain
from senet.fast.norm_folding import CONVS, NORMS, Norm, fold_norm
from senet.nn import SqueezeExcite

__all__ = ["Rewriter"]

SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}
RELUS = {F.relu, torch.relu, torch.relu_, "relu", "relu_"}
TAILS = (CommutedTail, GatedTail, PlainTail)
FRESH = (*CONVS, *NORMS, *TAILS)  # modules whose output is memory of its own


class Rewriter:
    """One traced network while it is rewritten.

    Args:
        traced: is changed.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.graph = traced.graph
        self.calls = Counter(node.target for node in self.graph.nodes if node.op == "call_module")
        self.sums = 0

    def fold_norms(self) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """Fold every norm right behind a convolution; give the names of the folded, and of the others with reasons."""
        folded: list[str] = []
        left: list[tuple[str, str]] = []
        for node in list(self.graph.nodes):
            name, norm = self._norm(node)
            if not name:
                continue
            before = node.all_input_nodes[0]
            conv = self._module(before)
            if norm is None:
                left.append((name, "it keeps no running statistics"))
            elif not isinstance(conv, CONVS):
                left.append((name, "no convolution comes right before it"))
            elif why := self._shared(before, node):
                left.append((name, why))
            else:
                self.traced.set_submodule(str(before.target), fold_norm(conv, norm))
                node.replace_all_uses_with(before)
                self.graph.erase_node(node)
                folded.append(name)
        return tuple(folded), tuple(left)

    def rectify_in_place(self) -> None:
        """Let ReLUs take the memory of their input where nothing else reads it."""
        for node in list(self.graph.nodes):
            if self._is_relu(node) and self._owned(x := node.all_input_nodes[0]):
                with self.graph.inserting_before(node):
                    node.replace_all_uses_with(self.graph.call_function(torch.relu_, (x,)))
                self.graph.erase_node(node)

    def treat_blocks(self, names: Sequence[str]) -> Iterator[Treated]:
        """Rewrite the blocks one after the other."""
        for node in [node for node in self.graph.nodes if node.op == "call_module" and node.target in names]:
            yield self._treat(node)

    def treat_sums(self) -> None:
        """Let the residual sums that no block joined take the memory of their branch."""
        for node in list(self.graph.nodes):
            u = next((x for x in node.all_input_nodes if self._owned(x)), None) if _is_sum(node) else None
            if u is not None:
                r = next(x for x in node.all_input_nodes if x is not u)
                last, rectify = self._rectified(node)
                self._replace(last, PlainTail(rectify=rectify), [u, r], f"tails.sum{self.sums + 1}")

    def pack_convolutions(self) -> tuple[str, ...]:
        """Let 3x3 convolutions run in fewer products, with the ReLU right behind them; give their names."""
        packed = []
        for node in list(self.graph.nodes):
            module = self._module(node)
            if not is_tileable(module) or module.weight.device.type != "cpu" or not is_available():
                continue
            module.__class__ = PackedConv2d
            packed.append(str(node.target))
            after = _only_user(node)
            if self.calls[node.target] == 1 and after is not None and after.target is torch.relu_:
                module.rectify = True  # type: ignore[assignment]  # of the class that it has now
                after.replace_all_uses_with(node)
                self.graph.erase_node(after)
        return tuple(packed)

    def finish(self) -> fx.GraphModule:
        """Check the graph, drop unused modules, compile."""
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
            return Treated(name=name, why="left, it is called with more than the map")
        u = node.all_input_nodes[0]
        weigh: SqueezeExcite | Excitation
        try:
            weigh = excitation(block)
        except LeftAlone as error:
            if not isinstance(block, SqueezeExcite):
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
        folded = fold_first(weigh, conv)
        tail = CommutedTail(conv, flat(weigh), rectify=rectify)
        self._replace(last, tail, [u.all_input_nodes[0], *shortcut], f"{name}_tail")
        return Treated(name=name, squeeze=str(u.target), folded=folded, joined=joined, native=tail.is_native())

    def _obstacle(self, u: fx.Node, block: fx.Node) -> str:
        """Say why the squeeze of a block cannot come before what gives its map; empty if it can."""
        conv = self._module(u)
        if isinstance(conv, TAILS):
            return "a residual sum gives its map"
        if not isinstance(conv, CONVS):
            before = getattr(u.target, "__name__", u.target) if conv is None else type(conv).__name__
            return f"{str(before).rstrip('_')} and no convolution gives its map"
        if why := self._shared(u, block):
            return why
        if set(conv.kernel_size) != {1} or conv.padding not in ((0,), (0, 0), (0, 0, 0)):
            return "the convolution before it sees neighbours"
        if conv.in_channels >= conv.out_channels:
            return "the convolution before it reads as many channels as it gives"
        return ""

    def _shared(self, before: fx.Node, node: fx.Node) -> str:
        """Say why a convolution and what follows it are no pair of their own; empty if they are."""
        if self.calls[before.target] > 1 or (node.op == "call_module" and self.calls[node.target] > 1):
            return "the network calls one of the two more than once"
        return "something else reads the map between the two" if len(before.users) > 1 else ""

    def _summed(self, node: fx.Node) -> tuple[fx.Node, list[fx.Node]]:
        """Follow a gate to the sum behind it; give the last node, and the other map of the sum if there is one."""
        after = _only_user(node)
        if after is None or not _is_sum(after):
            return node, []
        return after, [x for x in after.all_input_nodes if x is not node]

    def _rectified(self, node: fx.Node) -> tuple[fx.Node, bool]:
        """Follow a sum to the ReLU behind it; give the last node, and whether it is one."""
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
        """Return whether a node gives memory of its own that one other node reads."""
        fresh = isinstance(self._module(node), FRESH) or node.target is torch.relu_
        return fresh and len(node.users) == 1

    def _is_relu(self, node: fx.Node) -> bool:
        return type(self._module(node)) is nn.ReLU or node.target in RELUS

    def _norm(self, node: fx.Node) -> tuple[str, Norm | None]:
        """Give the name of a norm, empty if the node is none, and its values, None if they depend on the batch."""
        module = self._module(node)
        if isinstance(module, NORMS):
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
        # a module with somebody's hook is left as it is: whoever hung it there wants it to run
        return module if module is not None and is_plain(module) else None


def _is_sum(node: fx.Node) -> bool:
    """Return whether a node adds two different maps."""
    return node.target in SUMS and len(node.args) == len(node.all_input_nodes) == 2 and not node.kwargs


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
