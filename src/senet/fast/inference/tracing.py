"""Tracing of a network in evaluation mode with torch.fx, with squeeze-and-excitation blocks as leaves."""

import inspect
import operator
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import fx, nn

from senet.errors import SpecError, reason_of
from senet.surgery.insertion.hooks import insertions
from senet.surgery.insertion.watch import repair

__all__ = ["Tracer", "trace"]

WRITERS = {operator.iadd, operator.isub, operator.imul, operator.itruediv}
NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


class Tracer(fx.Tracer):
    """A torch.fx tracer with additional leaf modules; it has none when torch unpickles a graph."""

    def __init__(self, leaves: Iterable[str] = ()) -> None:
        super().__init__()
        self.leaves = set(leaves)
        self.failed = ""  # path of the innermost module whose forward pass could not be traced

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """Create a placeholder for the first parameter only; the others keep their defaults."""
        if not is_module:  # torch is unpickling a graph
            return super().create_args_for_root(root_fn, is_module, concrete_args)
        return root_fn, [self.root, self.create_proxy("placeholder", input_of(self.root), (), {})]

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Record a call; blocks that `senet.insert` attached to a leaf become separate calls."""
        if not self.is_leaf_module(m, path := self.path_of_module(m)):
            try:
                return super().call_module(m, forward, args, kwargs)
            except Exception:
                self.failed = self.failed or path
                raise
        for hook in insertions(m._forward_pre_hooks):
            args = hook(m, args)
        output = super().call_module(m, forward, args, kwargs)
        for hook in insertions(m._forward_hooks):
            output = hook(m, args, output)
        return output

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether to record a module as a single call."""
        return module_qualified_name in self.leaves or super().is_leaf_module(m, module_qualified_name)


def input_of(model: nn.Module) -> str:
    """Return the name of the input of a network.

    Raises:
        SpecError: if it has no input, or needs more than one.
    """
    parameters = list(inspect.signature(type(model).forward).parameters.values())[1:]  # the first is the module
    kinds = inspect.Parameter
    places = [each for each in parameters if each.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    several = [each for each in parameters if each.kind is kinds.VAR_POSITIONAL]
    others = [each for each in parameters if each.default is kinds.empty and each not in (places + several)[:1]]
    asked = [each.name for each in others if each.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)]
    title = type(model).__name__
    if asked:
        raise SpecError(
            f"{title}.forward requires {', '.join(map(repr, asked))} besides its input; pass a network with one input, "
            "or add defaults to these parameters."
        )
    if not places and not several:
        raise SpecError(f"{title}.forward has no input; pass a network whose forward pass takes one.")
    return (places + several)[0].name


def trace(model: nn.Module, *, leaves: Iterable[str]) -> fx.GraphModule:
    """Trace a network without identities and dropout, which do nothing in evaluation mode.

    The hooks of `senet.insert` are removed from `model`, and their blocks become nodes of the graph. Nodes that read a
    map after an in-place operation read the result of that operation.

    Raises:
        SpecError: if the forward pass cannot be traced, needs more than one input, or writes into views of maps; if a
            child has a name that torch.fx reserves.
    """
    empty = fx.GraphModule(nn.Module(), fx.Graph())
    names = (*model._modules, *model._parameters, *model._buffers)
    if taken := next((name for name in names if hasattr(empty, name)), ""):
        raise SpecError(
            f"{type(model).__name__}.{taken} has a name that torch.fx reserves; rename this child, or pass a network "
            "that contains this one."
        )
    repair(model)
    try:
        graph = _graph(model, set(leaves))
        for module in model.modules():  # the blocks are in the graph now
            for hooks in (module._forward_pre_hooks, module._forward_hooks):
                for hook in insertions(hooks):
                    del hooks[next(key for key, other in hooks.items() if other is hook)]
        traced = fx.GraphModule(model, graph, class_name=type(model).__name__)
    except SpecError:
        raise
    except Exception as error:  # code of the network may raise any exception on a proxy
        reason = reason_of(error)
        raise SpecError(
            f"{type(model).__name__} cannot be traced ({reason}); pass a network whose forward pass does not depend on "
            "the values of tensors, or a part of it that does not."
        ) from error
    for node in list(graph.nodes):
        node.type = None  # a pickled graph cannot import jaxtyping annotations
        if node.op == "call_module" and type(traced.get_submodule(node.target)) in NOTHING:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
        elif node.target is torch._assert:  # e.g. timm's norms check the number of dimensions
            graph.erase_node(node)
    for place, node in enumerate(graph.nodes):
        if (written := _written(traced, node)) is not None:
            later = set(list(graph.nodes)[place + 1 :])
            written.replace_all_uses_with(node, delete_user_cb=later.__contains__)
            if not node.users:  # the result is read through another view of the same memory
                raise SpecError(
                    f"{type(model).__name__} writes into a slice or view of a map ({node.name}), which cannot be "
                    "traced; use the result of that line in the network, or pass a part of it without that line."
                )
    graph.eliminate_dead_code()  # not earlier: a statement `relu_(x)` has no readers until its uses are replaced
    return traced


def _graph(model: nn.Module, leaves: set[str]) -> fx.Graph:
    """Trace a network; layers without children that depend on sizes, as timm's Conv2dSame, become leaves."""
    while True:
        tracer = Tracer(leaves)
        try:
            return tracer.trace(model)
        except Exception:
            failed = model.get_submodule(tracer.failed) if tracer.failed else model
            if failed is model or tracer.failed in leaves or next(failed.children(), None) is not None:
                raise
            leaves |= {name for name, module in model.named_modules() if type(module) is type(failed)}


def _written(traced: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """Return the input that a node modifies; None if it modifies none."""
    if isinstance(out := node.kwargs.get("out"), fx.Node):
        return out
    return node.args[0] if _writes(traced, node) else None  # type: ignore[return-value]  # it is a node then


def _writes(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node modifies its first input."""
    if not node.args or not isinstance(node.args[0], fx.Node):
        return False
    if node.op == "call_module":
        return bool(getattr(traced.get_submodule(str(node.target)), "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    name = getattr(node.target, "__name__", "")
    return node.op == "call_function" and (
        node.target in WRITERS or bool(node.kwargs.get("inplace")) or (name.endswith("_") and not name.endswith("__"))
    )
