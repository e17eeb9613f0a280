"""Find where a block can be attached: the module whose output or input is the value that a slot gates."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from torch import nn
from torch.jit import ScriptModule

from senet.dataflow.flow import ACTIVATIONS, Call, Flow, Op, Value
from senet.dataflow.units import Skipped, Unit, inside
from senet.surgery.insertion.hooks import attached

__all__ = ["Place", "Placer", "chains"]

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, ScriptModule)
"""Modules that would run a child named `se` as one more layer, and modules that accept no children."""

PASSING = frozenset({
    *("mul", "div", "neg", "add", "dropout", "native_dropout", "clone", "alias", "detach", "to_copy", "avg_pool2d"),
    *("permute", "transpose", "view", "reshape", "unsafe_view", "slice", "split", "split_with_sizes", "roll"),
    "constant_pad_nd",
})  # fmt: skip
"""Operations on one value before which a gate may be placed instead of after: layer scale, drop path, layout."""


def chains(model: nn.Module) -> frozenset[str]:
    """Return the names of the modules that cannot hold a block as a child."""
    return frozenset(name for name, module in model.named_modules() if isinstance(module, CONTAINERS))


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """A place for one block.

    Attributes:
        host: path of the module that gets the block as its child.
        side: `output` or `input` of the host.
        value: the map that is gated.
    """

    host: str
    side: str
    value: Value


class Placer:
    """Find the host of a block for each slot.

    Args:
        model: the network.
        flow: the record of its forward pass.
        blocks: names of its SE blocks.
        stack: whether a block may follow another one.
    """

    def __init__(self, model: nn.Module, flow: Flow, blocks: Collection[str], *, stack: bool = False) -> None:
        self.modules = dict(model.named_modules())
        self.flow = flow
        self.blocks = blocks
        self.stack = stack
        self.given = flow.given_out()
        self.taken = flow.taken_in()

    def place(self, unit: Unit, slot: str) -> Place | str:
        """Return the place of a block in a unit, or the reason why there is none."""
        if unit.shortcut is None and slot != "standard":
            return "it has no shortcut, so its only slot is standard"
        return _SLOTS[slot](self, unit)

    def standard(self, unit: Unit) -> Place | str:
        """Return the place at the last map of the branch that is the output of a module."""
        other = unit.shortcut
        found = self._upward(unit.branch, unit.body, lambda value: other is None or not other.needs(value))
        return found or "no module that runs once returns the end of its branch"

    def post(self, unit: Unit) -> Place | str:
        """Return the place at the output of the unit, after the activation that follows the addition."""
        value = unit.end.output
        while len(value.users) == 1 and _is_activation(user := value.users[0]) and inside(user.module, {unit.name}):
            value = user.output
        found = self._output(value, made=True) or self._output(value, made=False)
        return found or "no module that runs once returns its sum"

    def identity(self, unit: Unit) -> Place | str:
        """Return the place at the end of the shortcut, if a module computes it."""
        assert unit.shortcut is not None
        assert unit.fork is not None
        if unit.shortcut is unit.fork:
            return "its shortcut is the input itself, which no module returns"
        way = self.flow.between(unit.fork, unit.shortcut)
        found = self._upward(unit.shortcut, way, lambda value: not unit.branch.needs(value))
        return found or "no module that runs once returns the end of its shortcut"

    def pre(self, unit: Unit) -> Place | str:
        """Return the place at the input of the first module of the branch."""
        assert unit.fork is not None
        first = [op for op in unit.fork.users if op in set(unit.body)]
        others = [op for op in unit.fork.users if op not in set(unit.body)]
        for call in self.taken.get(unit.fork, ()):
            holds = all(inside(op.module, {call.name}) for op in first) and bool(call.name)
            apart = not any(inside(op.module, {call.name}) for op in (*others, unit.end))
            if holds and apart and self._may_host(call):
                return Place(host=call.name, side="input", value=unit.fork)
        return "no module that runs once takes in its branch's input alone"

    def inner(self, unit: Unit) -> Place | str:
        """Return the place at the input of the layer that follows the last spatial convolution."""
        layers = [op for op in unit.body if op.weighted and not inside(op.module, self.blocks)]
        for spatial, following in reversed(list(pairwise(layers))):
            value = following.inputs[0]
            if max(spatial.kernel, default=1) > 1 and value.needs(spatial.output) and value.axis is not None:
                for call in self.taken.get(value, ()):
                    if call.name == following.module and self._may_host(call):
                        return Place(host=call.name, side="input", value=value)
        return "no spatial convolution in its branch is followed by a layer that runs once"

    def with_relatives(self, units: Collection[Unit], skipped: Iterable[Skipped]) -> list[Unit]:
        """Return units and modules without a shortcut whose class has residual units, in the order in which they end.

        Such modules are the strided units of MobileNet v2. Their branch ends at the same submodule as that of the first
        residual unit of their class.
        """
        ends: dict[type[nn.Module], str] = {}
        for unit in units:
            place = self.standard(unit)
            if unit.kind == "residual" and isinstance(place, Place) and place.host.startswith(f"{unit.name}."):
                ends.setdefault(type(self.modules[unit.name]), place.host.removeprefix(unit.name))
        known = {unit.name for unit in units} | {one.name for one in skipped}
        found = []
        for name, module in self.modules.items():
            end = f"{name}{ends.get(type(module))}"
            if not name or end not in self.modules or isinstance(module, CONTAINERS) or _around(name, known):
                continue
            place = self.output_of(end)
            if isinstance(place, Place) and place.value.op is not None:
                body = tuple(op for op in self.flow.ops if inside(op.module, {name}))
                found.append(Unit(name=name, kind="relative", end=place.value.op, branch=place.value, body=body))
        return sorted([*units, *found], key=lambda unit: unit.end.index)

    def output_of(self, name: str) -> Place | str:
        """Return the place at the output of a module that the user names, or the reason why there is none.

        The block of a container, such as `nn.Sequential`, is attached to the module in it that returns its output.
        """
        calls = [call for call in self.flow.calls if call.name == name]
        title = type(self.modules[name]).__name__
        if len(calls) != 1:
            return f"{title} runs {len(calls)} times in a forward pass; a block needs a module that runs once"
        value = calls[0].output
        if value is None or value.axis is None or len(value.shape) < 3:
            return f"{title} returns no map of channels; match a conv or a norm"
        if value.op is not None and value.op.depthwise:
            return "a depthwise convolution mixes no channels; match what follows it"
        if self._may_host(calls[0]):
            return Place(host=name, side="output", value=value)
        last = self._output(value, made=True)
        if last is None or not last.host.startswith(f"{name}."):
            return f"{title} cannot hold a block as a child; match a layer in it"
        return last

    def _upward(self, value: Value, body: Collection[Op], allowed: Callable[[Value], bool]) -> Place | None:
        for kinds in (PASSING, PASSING | ACTIVATIONS):
            for made in (True, False):
                at: Value | None = value
                while at is not None and allowed(at):
                    if found := self._output(at, made=made):
                        return found
                    op = at.op
                    passes = op is not None and op in set(body) and op.kind in kinds and len(op.inputs) == 1
                    at = op.inputs[0] if op is not None and passes else None
        return None

    def _output(self, value: Value, *, made: bool) -> Place | None:
        """Return the place at the innermost module with a value as its output.

        Args:
            value: the map.
            made: whether the module computes the value, or only passes it on, such as drop path in evaluation mode.
        """
        if value.axis not in (1, len(value.shape) - 1) or value.op is None:
            return None
        for call in self.given.get(value, ()):
            if self.stack and made and call.name in self.blocks:
                host, _, child = call.name.rpartition(".")
                is_attached = child in attached(self.modules[host])
                return Place(host=host if is_attached else call.name, side="output", value=value)
            if self._may_host(call) and inside(value.op.module, {call.name}) == made:
                return Place(host=call.name, side="output", value=value)
        return None

    def _may_host(self, call: Call) -> bool:
        module = self.modules[call.name]
        free = call.name and self.flow.times[call.name] == 1 and not inside(call.name, self.blocks)
        return bool(free) and not isinstance(module, CONTAINERS)


def _around(name: str, known: Collection[str]) -> bool:
    return any(other == name or other.startswith(f"{name}.") for other in known)


def _is_activation(op: Op) -> bool:
    return op.kind in ACTIVATIONS and len(op.inputs) == 1


_SLOTS: Mapping[str, Callable[[Placer, Unit], Place | str]] = {
    "standard": Placer.standard,
    "pre": Placer.pre,
    "post": Placer.post,
    "identity": Placer.identity,
    "inner": Placer.inner,
}
