"""The record of one forward pass: the values, the operations that make and read them, and the calls of modules.

What follows works on the values, never on the names of classes: insertion finds the units in them, `find` the blocks,
`fold` the layers beside a block, and `cost` counts the operations.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["ACTIVATIONS", "WEIGHTED", "Call", "Flow", "Op", "Value"]

WEIGHTED = frozenset({"convolution", "addmm", "mm"})
"""Operations with a weight, when one of their inputs is no value of the image."""

ACTIVATIONS = frozenset({
    *("relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "mish", "gelu", "elu", "celu", "selu"),
    *("leaky_relu", "rrelu", "prelu", "prelu_kernel", "sigmoid", "tanh", "softplus", "clamp", "clamp_min", "threshold"),
})  # fmt: skip


@dataclass(eq=False)
class Value:
    """The content of a tensor at one moment: an in-place operation makes a new one.

    Attributes:
        shape: its sizes.
        index: its number among the values of the image, in the order of making; -1 for weights and constants.
        ancestors: bits of the values of the image it depends on, its own included; 0 for weights and constants.
        axis: the axis that holds channels; None where that is not known, -1 where they are split over axes 1 and 2.
        op: what made it; None for the image, weights and constants.
        users: the operations that read it, each once.
        parameter: name of the parameter that it is; else empty.
        touched: whether its memory holds numbers of the image, also those written through another view.
        clear: whether it is known what it holds; False after a write through another view of its memory.
    """

    shape: tuple[int, ...]
    index: int = -1
    ancestors: int = 0
    axis: int | None = None
    op: "Op | None" = None
    users: list["Op"] = field(default_factory=list)
    parameter: str = ""
    touched: bool = True
    clear: bool = True

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
class Call:
    """One call of a module: what it was given first and what it gave out; None where that is no value of the image."""

    name: str
    input: Value | None
    output: Value | None = None


@dataclass(eq=False, kw_only=True)
class Op:
    """One operation.

    Attributes:
        index: its number in the list of its flow, in the order of running.
        kind: its name without leading underscores and that of in-place forms: `add`, `convolution`, `cat`.
        args: its positional arguments as they were.
        kwargs: its keyword arguments.
        calls: the calls of modules in which it ran, the outermost first.
        reads: the values of all tensors among its arguments, once for every reading.
        inputs: those that depend on the image, each once.
        output: the first value it makes.
        macs: multiply-adds of a convolution, a matrix product or an attention [MAC].
    """

    index: int
    kind: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    calls: tuple[Call, ...]
    reads: tuple[Value, ...]
    inputs: tuple[Value, ...]
    output: Value
    macs: int

    @property
    def module(self) -> str:
        """Path of the innermost module in whose forward it ran."""
        return self.calls[-1].name if self.calls else ""

    @property
    def weighted(self) -> bool:
        """Return whether it is a convolution or a linear map of one value of the image."""
        return self.kind in WEIGHTED and len(self.inputs) == 1

    @property
    def kernel(self) -> tuple[int, ...]:
        """Sizes of a convolution's window; empty otherwise."""
        return self.reads[1].shape[2:] if self.kind == "convolution" else ()

    @property
    def depthwise(self) -> bool:
        """Whether a convolution has one input channel a group, and more than one group."""
        return self.kind == "convolution" and self.reads[1].shape[1] == 1 and self.inputs[0].channels > 1


@dataclass(eq=False, kw_only=True)
class Flow:
    """What a forward pass did.

    Attributes:
        shape: of the input.
        ops: operations on values of the image, in the order in which they ran.
        constants: operations on weights and constants alone.
        values: values of the image in the order of making; the first is the image.
        outputs: those that the network gives out.
        calls: calls of modules in the order in which they ended.
        times: how often each module was called.
        kept: what autograd keeps for the backward pass, each storage once: in which calls, and how much [bytes].
    """

    shape: tuple[int, ...]
    ops: list[Op]
    constants: list[Op]
    values: list[Value]
    outputs: frozenset[Value]
    calls: list[Call]
    times: Counter[str]
    kept: list[tuple[tuple[Call, ...], int]]

    def inside(self, name: str) -> Iterable[Op]:
        """Yield the operations that ran in the calls of a module, those on weights alone too."""
        return (op for op in (*self.ops, *self.constants) if any(call.name == name for call in op.calls))

    def readings(self, value: Value) -> int:
        """Return how often a value is read, as the output of the network too."""
        return sum(op.reads.count(value) for op in value.users) + (value in self.outputs)

    def is_final(self, value: Value) -> bool:
        """Return whether no layer reads a value or what is computed from it."""
        first = 0 if value.op is None else value.op.index + 1
        return not any(op.weighted and op.inputs[0].needs(value) for op in self.ops[first:])

    def between(self, start: Value, end: Value) -> list[Op]:
        """Return the operations on the ways from one value to a later one."""
        if end.op is None:
            return []
        first = 0 if start.op is None else start.op.index + 1
        return [
            op
            for op in self.ops[first : end.op.index + 1]
            if end.needs(op.output) and any(value.needs(start) for value in op.inputs)
        ]

    def given_out(self) -> Mapping[Value, list[Call]]:
        """Return the calls that returned each value, the innermost first."""
        return _grouped((call.output, call) for call in self.calls)

    def taken_in(self) -> Mapping[Value, list[Call]]:
        """Return the calls that had each value as their first argument."""
        return _grouped((call.input, call) for call in self.calls)


def _grouped(pairs: Iterable[tuple[Value | None, Call]]) -> Mapping[Value, list[Call]]:
    found: defaultdict[Value, list[Call]] = defaultdict(list)
    for value, call in pairs:
        if value is not None:
            found[value].append(call)
    return found
