"""The data flow of one forward pass: every operation on a map, who computes it, and which modules give it out.

The network really runs, on tensors without data where it can: control flow, functional operations and blocks in
blocks need no tracing. What follows works on the values, never on the names of classes.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode  # the way of torch.utils.flop_counter, there is no other
from torch.utils._pytree import tree_leaves, tree_map_only

from senet.dataflow.rehearsal import rehearse

__all__ = ["ACTIVATIONS", "WEIGHTED", "Call", "Flow", "Op", "Value", "record"]

WEIGHTED = frozenset({"convolution", "addmm", "mm"})
"""Operations with a weight, when one of their inputs is no value of the image."""

ACTIVATIONS = frozenset({
    *("relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "mish", "gelu", "elu", "celu", "selu"),
    *("leaky_relu", "rrelu", "prelu", "prelu_kernel", "sigmoid", "tanh", "softplus", "clamp", "clamp_min", "threshold"),
})  # fmt: skip

VIEWS = ("view", "reshape", "unsafe_view", "unsqueeze", "squeeze")
GONE = ("select", "mean", "sum", "amax", "max", "unbind")
"""Operations that lose the axes they name, unless told to keep them."""

SPLIT = -1


@dataclass(eq=False)
class Value:
    """A tensor that depends on the image, at one moment: an in-place operation makes a new one.

    Attributes:
        index: its number, in the order of making.
        shape: its sizes.
        axis: the axis that holds channels; None where that is not known, -1 where they are split over axes 1 and 2.
        op: what made it; None for the image.
        ancestors: bits of the values it depends on, its own included.
        users: what reads it.
    """

    index: int
    shape: tuple[int, ...]
    axis: int | None
    op: "Op | None"
    ancestors: int
    users: list["Op"] = field(default_factory=list)

    @property
    def channels(self) -> int:
        """Channels of the map; 0 where no axis is known to hold them."""
        return 0 if self.axis is None or self.axis < 0 else self.shape[self.axis]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the map without images and channels [pixels]."""
        return tuple(size for axis, size in enumerate(self.shape) if axis not in (0, self.axis))

    def needs(self, other: "Value") -> bool:
        """Return whether this value is `other` or was computed from it."""
        return bool(self.ancestors >> other.index & 1)


@dataclass(eq=False)
class Op:
    """One operation.

    Attributes:
        index: its number, in the order of running.
        kind: its name without the underscore of in-place forms: `add`, `convolution`, `cat`.
        module: path of the innermost module in whose forward it ran.
        inputs: the values of the image it reads.
        output: the first value it makes.
        kernel: sizes of a convolution's window; empty otherwise.
        depthwise: whether a convolution has one input channel a group, and more than one group.
    """

    index: int
    kind: str
    module: str
    inputs: tuple[Value, ...]
    output: Value
    kernel: tuple[int, ...] = ()
    depthwise: bool = False

    @property
    def weighted(self) -> bool:
        """Return whether it is a convolution or a linear map of one value of the image."""
        return self.kind in WEIGHTED and len(self.inputs) == 1


@dataclass(eq=False)
class Call:
    """One call of a module: what it was given first and what it gave out; None where that is no single value."""

    name: str
    input: Value | None
    output: Value | None


@dataclass(eq=False)
class Flow:
    """What a forward pass did.

    Attributes:
        shape: of the input.
        ops: operations in the order in which they ran.
        values: values in the order of making; the first is the image.
        calls: calls of modules in the order in which they ended.
        times: how often each module was called.
    """

    shape: tuple[int, ...]
    ops: list[Op]
    values: list[Value]
    calls: list[Call]
    times: Counter[str]

    def is_final(self, value: Value) -> bool:
        """Return whether no layer reads a value or what is computed from it."""
        first = 0 if value.op is None else value.op.index + 1
        return not any(op.weighted and op.inputs[0].needs(value) for op in self.ops[first:])

    def between(self, start: Value, end: Value) -> list[Op]:
        """Give the operations on the ways from one value to a later one."""
        if end.op is None:
            return []
        first = 0 if start.op is None else start.op.index + 1
        return [
            op
            for op in self.ops[first : end.op.index + 1]
            if end.needs(op.output) and any(value.needs(start) for value in op.inputs)
        ]

    def given_out(self) -> Mapping[Value, list[Call]]:
        """Give the calls that returned each value, the innermost first."""
        found: defaultdict[Value, list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.output is not None:
                found[call.output].append(call)
        return found

    def taken_in(self) -> Mapping[Value, list[Call]]:
        """Give the calls that had each value as their first argument."""
        found: defaultdict[Value, list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.input is not None:
                found[call.input].append(call)
        return found


@torch.inference_mode(False)
def record(model: nn.Module, *, shape: tuple[int, ...], device: torch.device | str = "meta", axis: int = 1) -> Flow:
    """Run a network on an image of zeros and keep what it did.

    Args:
        model: any network that takes one tensor; it is not changed.
        shape: of the input, `(n, c, ...)`.
        device: `meta` runs on shapes alone; another one computes, for networks that ask for values.
        axis: of the channels in the input.
    """
    dtypes = (p.dtype for p in model.parameters() if p.is_floating_point())
    x = torch.zeros(shape, device=device, dtype=next(dtypes, torch.float32))
    recorder = _Recorder({module: name for name, module in model.named_modules()}, x, axis)
    rehearse(model, x, contexts=(torch.no_grad(), recorder), enter=recorder.enter, leave=recorder.leave)
    return Flow(shape, recorder.ops, recorder.values, recorder.calls, recorder.times)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's class has no types
    def __init__(self, names: Mapping[nn.Module, str], image: Tensor, axis: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names = names
        self.ops: list[Op] = []
        self.values: list[Value] = []
        self.calls: list[Call] = []
        self.times: Counter[str] = Counter()
        self.open: list[tuple[str, Value | None]] = []
        self.current: dict[int, Value] = {}
        self.alive: list[Tensor] = []  # so that no id is given twice
        self.meta = image.is_meta
        self.bind(image, Value(0, tuple(image.shape), axis, None, 1))

    def bind(self, tensor: Tensor, value: Value) -> None:
        if not self.values or self.values[-1] is not value:
            self.values.append(value)
        self.current[id(tensor)] = value
        self.alive.append(tensor)

    def value_of(self, thing: object) -> Value | None:
        return self.current.get(id(thing)) if isinstance(thing, Tensor) else None

    def enter(self, module: nn.Module, args: tuple[object, ...]) -> None:
        if (name := self.names.get(module)) is not None:
            self.times[name] += 1
            self.open.append((name, self.value_of(args[0]) if args else None))

    def leave(self, module: nn.Module, args: object, output: object) -> None:
        if module in self.names:
            name, given = self.open.pop()
            self.calls.append(Call(name, given, self.value_of(output)))

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if self.meta and any(tensor.is_meta for tensor in tensors):  # constants that are neither weights nor buffers
            args, kwargs = tree_map_only(Tensor, _without_data, (args, kwargs))
        result = func(*args, **kwargs)
        inputs = tuple(dict.fromkeys(value for tensor in tensors if (value := self.value_of(tensor)) is not None))
        if inputs:
            self.note(func, args, tensors, inputs, result)
        return result

    def note(
        self,
        func: torch._ops.OpOverload,
        args: tuple[object, ...],
        tensors: Sequence[Tensor],
        inputs: tuple[Value, ...],
        result: object,
    ) -> None:
        kind = func._overloadpacket.__name__.strip("_")
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        op: Op | None = None
        for output in outputs:
            shape = tuple(output.shape)
            ancestors = 1 << len(self.values)
            for value in inputs:
                ancestors |= value.ancestors
            made = Value(len(self.values), shape, _axis(kind, args, _leading(inputs), shape), None, ancestors)
            if op is None:
                op = Op(len(self.ops), kind, self.open[-1][0] if self.open else "", inputs, made)
                if kind == "convolution":
                    weight = tensors[1]
                    op.kernel = tuple(weight.shape[2:])
                    op.depthwise = weight.shape[1] == 1 and inputs[0].channels > 1
                self.ops.append(op)
                for value in inputs:
                    value.users.append(op)
            made.op = op
            self.bind(output, made)


def _leading(inputs: Sequence[Value]) -> Value:
    """Return the input whose channels an operation goes on with: the first of which they are known."""
    return next((value for value in inputs if value.axis is not None), inputs[0])


def _without_data(tensor: Tensor) -> Tensor:
    return tensor.to("meta")


def _axis(kind: str, args: Sequence[object], source: Value, shape: tuple[int, ...]) -> int | None:
    """Follow the axis of the channels through one operation."""
    if kind == "convolution":
        return 1
    if kind in ("addmm", "mm"):
        return len(shape) - 1
    axis, before = source.axis, source.shape
    if axis is None:
        return _as_it_was(source, shape) if kind in VIEWS else None
    if axis == SPLIT:
        return _joined(kind, before, shape)
    if kind in ("permute", "transpose", "t"):
        return _order(kind, args, len(before)).index(axis)
    if kind in VIEWS:
        found = _same_place(before, axis, shape)
        split = axis == 1 and len(shape) == len(before) + 1 and shape[3:] == before[2:]
        return SPLIT if found is None and split else found
    if kind in GONE and len(shape) < len(before):
        gone = {dim % len(before) for dim in _dims(args)} or ({0} if kind == "unbind" else set(range(len(before))))
        return None if axis in gone else axis - sum(dim < axis for dim in gone)
    if kind == "stack":
        return axis + (len(args) < 2 or int(str(args[1])) % len(shape) <= axis)
    if kind in ("expand", "repeat"):  # new axes come first
        return axis + len(shape) - len(before)
    return axis if len(shape) == len(before) else None


def _same_place(before: tuple[int, ...], axis: int, shape: tuple[int, ...]) -> int | None:
    """Find an axis again after a view: as long as it was, with as many numbers in the axes before it."""
    ways = [
        new for new in range(1, len(shape)) if shape[new] == before[axis] and prod(shape[:new]) == prod(before[:axis])
    ]
    return axis if axis in ways else ways[0] if ways else None


def _as_it_was(value: Value, shape: tuple[int, ...]) -> int | None:
    """Find an axis that a view had merged with others, where a later view has the images and channels from before."""
    while value.axis is None and value.op is not None and len(value.op.inputs) == 1:
        value = value.op.inputs[0]
    kept = value.channels and len(value.shape) == len(shape) and value.shape[0] == shape[0]
    return value.axis if value.axis and kept and shape[value.axis] == value.channels else None


def _dims(args: Sequence[object]) -> list[int]:
    """Return the axes that an operation names; none stands for all."""
    given = args[1] if len(args) > 1 else None
    return [given] if isinstance(given, int) else list(given) if isinstance(given, list | tuple) else []


def _joined(kind: str, before: tuple[int, ...], shape: tuple[int, ...]) -> int | None:
    """Follow channels that are split in groups, as channel shuffle and split attention do."""
    if len(shape) == len(before):
        return SPLIT
    together = kind in VIEWS and shape[1:] == (before[1] * before[2], *before[3:])
    return 1 if together or (kind in ("sum", "mean") and shape[1:] == before[2:]) else None


def _order(kind: str, args: Sequence[object], ndim: int) -> list[int]:
    if kind == "permute":
        dims = args[1]
        assert isinstance(dims, Sequence)
        return [int(dim) % ndim for dim in dims]
    first, second = (0, 1) if kind == "t" else (int(str(args[1])), int(str(args[2])))
    order = list(range(ndim))
    order[first], order[second] = order[second], order[first]
    return order
