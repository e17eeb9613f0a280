"""The plan of a unit: the calls of its forward method, with norm, addition and ReLU as one step.

A norm is moved behind what runs between it and its addition or ReLU. That changes nothing, since its input is the
output of a convolution that nothing else reads or writes.
"""

import copy
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from senet.fast.training.norms import end_of
from senet.fast.training.variant import Variant

__all__ = ["Call", "Group", "Plan", "plan_of", "state_of"]

ADDITIONS = (operator.add, operator.iadd, torch.add)
RELUS = (F.relu, F.relu_, torch.relu, torch.relu_)
OPTIONS: Mapping[Any, tuple[str, ...]] = {torch.flatten: ("start_dim", "end_dim"), **dict.fromkeys(RELUS, ("inplace",))}
FUNCTIONS = (*ADDITIONS, *OPTIONS)
DATA = (bool, int, float, str, type(None), type, torch.dtype)
OF_MODULES = frozenset(vars(nn.Module()))


class Call(NamedTuple):
    """The call of a layer or function.

    Attributes:
        function: path of a module in the unit, or a function.
        inputs: places of its inputs.
        options: other arguments.
        output: place of its output.
    """

    function: str | Callable[..., Any]
    inputs: tuple[int, ...]
    options: tuple[tuple[str, Any], ...]
    output: int


class Group(NamedTuple):
    """Norm, addition and ReLU as one step.

    Attributes:
        norm: path of the norm.
        act: path of the ReLU; empty for a function.
        u: place of the input of the norm.
        r: place of the other summand; None without an addition.
        output: place of the output.
        calls: the same as single calls.
    """

    norm: str
    act: str
    u: int
    r: int | None
    output: int
    calls: tuple[Call, ...]


class Plan(NamedTuple):
    """What the forward method of a unit does.

    Attributes:
        steps: the steps in order.
        done: for each step, the places of values that no later step reads.
        output: place of the result.
        values: number of places.
        paths: paths of the modules whose own code was traced; empty for the unit.
        bypassed: paths of modules that are not called, besides the unit.
        state: what determined the plan, see `state_of`.
    """

    steps: tuple[Call | Group, ...]
    done: tuple[tuple[int, ...], ...]
    output: int
    values: int
    paths: tuple[str, ...]
    bypassed: tuple[str, ...]
    state: tuple[Any, ...]

    @property
    def norms(self) -> list[str]:
        """Paths of the fused norms."""
        return [step.norm for step in self.steps if isinstance(step, Group)]


class UnsupportedError(Exception):
    """The forward method does something else than calling layers, adding and rectifying."""


class _Tracer(fx.Tracer):
    """A tracer that enters modules with norms in them, and stops at the first operation that a plan cannot hold."""

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """Create a placeholder for the first parameter only; the others keep their defaults."""
        return root_fn, [self.root, self.create_proxy("placeholder", "x", (), {})]

    def create_node(self, kind: str, target: Any, *rest: Any, **others: Any) -> Any:
        """Record an operation, or refuse it."""
        known = kind in ("placeholder", "output", "call_module") or (kind == "call_function" and target in FUNCTIONS)
        if not known:
            raise UnsupportedError
        return super().create_node(kind, target, *rest, **others)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether to record a module as a single call."""
        return _is_leaf(m)


def plan_of(unit: nn.Module) -> Plan | None:
    """Return the plan of a module; None if none of its norms can be fused, or its forward method is not that simple.

    The forward method runs on a copy of the module that shares the layers, with symbols instead of maps: layers are
    recorded and do not run. It must do the same in training and in evaluation.
    """
    if _is_leaf(unit) or "forward" in vars(unit):
        return None
    try:
        state = copy.deepcopy(state_of(unit, paths := _entered(unit)))
        recorded = [_calls(unit, _traced(unit, train)) for train in (True, False)]
    except Exception:  # the code of the unit may raise any exception on a symbol
        return None
    if recorded[0] != recorded[1]:
        return None
    calls, identities, output = recorded[0]
    steps = tuple(_grouped(unit, calls, output))
    if not any(isinstance(step, Group) for step in steps):
        return None
    bypassed = (*[path for path in paths if path], *identities)
    values = 1 + max(call.output for call in calls)
    return Plan(steps, _done(steps, output), output, values, paths, bypassed, state)


def state_of(unit: nn.Module, paths: Sequence[str]) -> tuple[Any, ...]:
    """Return what the forward methods of a unit and of modules in it depend on, as values that can be compared.

    Raises:
        ValueError: if an attribute is neither a module nor plain data.
    """
    found: list[Any] = []
    for path in paths:
        part = unit.get_submodule(path) if path else unit
        own = {name: value for name, value in vars(part).items() if name not in OF_MODULES}
        own.pop("fused_backend", None)
        own.pop("fused_plan", None)
        if not _is_data(own):
            raise ValueError
        found.append(own)
        found.append([(name, getattr(child, "ordinary", type(child))) for name, child in part._modules.items()])
    return tuple(found)


def _is_data(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_data, (*value.keys(), *value.values())))
    return all(map(_is_data, value)) if isinstance(value, list | tuple) else isinstance(value, DATA)


def _is_leaf(module: nn.Module) -> bool:
    """Return whether a module is a step of its own: torch's, already fused, or without norms in it."""
    if isinstance(module, (Variant, nn.Sequential, nn.ModuleList, nn.ModuleDict, _BatchNorm)):
        return True
    return type(module).__module__.startswith("torch.nn") or not any(
        isinstance(m, _BatchNorm) for m in module.modules()
    )


def _entered(unit: nn.Module, path: str = "") -> tuple[str, ...]:
    """Return the paths of the modules whose forward methods a trace enters."""
    inner = [
        _entered(child, f"{path}.{name}".lstrip(".")) for name, child in unit.named_children() if not _is_leaf(child)
    ]
    return (path, *[each for paths in inner for each in paths])


def _traced(unit: nn.Module, train: bool) -> fx.Graph:
    return _Tracer().trace(_twin(unit, train))


def _twin(module: nn.Module, train: bool) -> nn.Module:
    """Return a copy of a module that shares its layers and weights, without hooks."""
    twin = nn.Module.__new__(type(module))
    twin.__dict__ |= vars(nn.Module())
    own = {name: value for name, value in vars(module).items() if name not in OF_MODULES}
    children = {
        name: child if child is None or _is_leaf(child) else _twin(child, train)
        for name, child in module._modules.items()
    }
    twin.__dict__ |= copy.deepcopy(own)
    twin.__dict__ |= {"training": train, "_modules": children}
    twin.__dict__ |= {"_parameters": dict(module._parameters), "_buffers": dict(module._buffers)}
    return twin


def _calls(unit: nn.Module, graph: fx.Graph) -> tuple[list[Call], list[str], int]:
    """Return the calls of a graph, the paths of identities, which are left out, and the place of the result.

    Raises:
        UnsupportedError: if a call has arguments that a plan cannot hold.
    """
    place: dict[fx.Node, int] = {}
    calls: list[Call] = []
    identities: list[str] = []
    for node in graph.nodes:
        inputs, others = [each for each in node.args if isinstance(each, fx.Node)], []
        if node.target in OPTIONS:
            inputs, others = inputs[:1], list(node.args[1:])
        options = (*zip(OPTIONS.get(node.target, ()), others, strict=False), *node.kwargs.items())
        if list(node.args) != [*inputs, *others] or not _is_data(list(options)):
            raise UnsupportedError
        if node.op == "placeholder":
            place[node] = 0
        elif node.op == "output":
            return calls, identities, place[inputs[0]]
        elif node.op == "call_module" and type(unit.get_submodule(node.target)) is nn.Identity:
            identities.append(node.target)
            place[node] = place[inputs[0]]
        else:
            place[node] = len(calls) + 1
            calls.append(Call(node.target, tuple(place[each] for each in inputs), options, place[node]))
    raise UnsupportedError


def _grouped(unit: nn.Module, calls: list[Call], output: int) -> Iterator[Call | Group]:
    """Yield the steps, with each norm, addition and ReLU that may become one at the place of the ReLU."""
    reads = [place for call in calls for place in call.inputs] + [output]
    made = {call.output: call for call in calls}

    def norm_at(place: int) -> Call | None:
        """Return the norm that computes a value, if nothing else reads this value and the input of the norm."""
        norm = made.get(place)
        if norm is None or [call.function for call in calls].count(norm.function) != 1:
            return None
        if not isinstance(norm.function, str) or norm.options or reads.count(place) != 1:
            return None
        end = end_of(unit.get_submodule(norm.function))
        conv = made.get(norm.inputs[0])
        lone = conv is not None and isinstance(conv.function, str) and reads.count(norm.inputs[0]) == 1
        if end is None or end.relu or not lone or not isinstance(unit.get_submodule(conv.function), nn.Conv2d):  # type: ignore[union-attr, arg-type]
            return None
        return norm

    groups: dict[int, Group] = {}
    inside: set[int] = set()
    for at, act in enumerate(calls):
        if not _is_rectifier(unit, act):
            continue
        place, r, add = act.inputs[0], None, made.get(act.inputs[0])
        members = [act]
        norm = norm_at(place)
        if norm is None and at and calls[at - 1] is add and add.function in ADDITIONS and len(add.inputs) == 2:
            if add.options or reads.count(place) != 1 or add.inputs[0] == add.inputs[1]:
                continue
            norm, r = norm_at(add.inputs[0]), add.inputs[1]
            if norm is None and add.function is not operator.iadd:  # `r += y` changes r
                norm, r = norm_at(add.inputs[1]), add.inputs[0]
            members = [add, act]
        if norm is None:
            continue
        inside |= {norm.output, *[member.output for member in members]}
        path = act.function if isinstance(act.function, str) else ""
        assert isinstance(norm.function, str)
        groups[act.output] = Group(norm.function, path, norm.inputs[0], r, act.output, (norm, *members))
    for call in calls:
        if call.output in groups:
            yield groups[call.output]
        elif call.output not in inside:
            yield call


def _is_rectifier(unit: nn.Module, call: Call) -> bool:
    if isinstance(call.function, str):
        return type(unit.get_submodule(call.function)) is nn.ReLU
    return call.function in RELUS


def _done(steps: Sequence[Call | Group], output: int) -> tuple[tuple[int, ...], ...]:
    """Return for each step the values that it is the last to read."""
    last: dict[int, int] = {}
    for at, step in enumerate(steps):
        calls = step.calls if isinstance(step, Group) else (step,)
        last |= {place: at for call in calls for place in (*call.inputs, call.output)}
    last.pop(output, None)
    return tuple(tuple(place for place, until in last.items() if until == at) for at in range(len(steps)))
