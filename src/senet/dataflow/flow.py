"""Represent one forward pass: values, the operations that compute and read them, and the calls of modules.

Other modules work on this record instead of class names: insertion finds units in it, `find` the blocks, `fold` the
layers next to a block, and `cost` counts the operations.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["ACTIVATIONS", "WEIGHTED", "Call", "Flow", "Op", "Value"]

WEIGHTED = frozenset({"convolution", "addmm", "mm"})
"""Operations that have a weight if one of their arguments does not depend on the image."""

ACTIVATIONS = frozenset({
    *("relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "mish", "gelu", "elu", "celu", "selu"),
    *("leaky_relu", "rrelu", "prelu", "prelu_kernel", "sigmoid", "tanh", "softplus", "clamp", "clamp_min", "threshold"),
})  # fmt: skip


@dataclass(eq=False)
class Value:
    """The content of a tensor at one moment: an in-place operation creates a new value.

    A value of the image is the image itself or was computed from it; other values are weights and constants.

    Attributes:
        shape: its sizes.
        index: its number among the values of the image, in order of creation; -1 for weights and constants.
        ancestors: bit set of the values of the image it depends on, including itself; 0 for weights and constants.
        axis: the channel axis; None if unknown, -1 if the channels are split over axes 1 and 2.
        op: the operation that computed it; None for the image, weights and constants.
        users: the operations that read it, each once.
        parameter: name of the parameter, or of the buffer in the state dict, that it is; else empty.
        touched: whether its memory holds data of the image, including data written through another view.
        written: whether its memory was written through another view; it is known until it is read after that.
        clear: whether its content is known wherever it is read.
    """

    shape: tuple[int, ...]
    index: int = -1
    ancestors: int = 0
    axis: int | None = None
    op: "Op | None" = None
    users: list["Op"] = field(default_factory=list)
    parameter: str = ""
    touched: bool = True
    written: bool = False
    clear: bool = True

    @property
    def channels(self) -> int:
        """Channels of the map; 0 if the channel axis is unknown."""
        return 0 if self.axis is None or self.axis < 0 else self.shape[self.axis]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Spatial sizes of the map [pixels]."""
        return tuple(size for axis, size in enumerate(self.shape) if axis not in (0, self.axis))

    def needs(self, other: "Value") -> bool:
        """Return whether this value is `other` or was computed from it."""
        return bool(self.ancestors >> other.index & 1)


@dataclass(eq=False)
class Call:
    """One call of a module: its first argument and its output, None where these are not values of the image."""

    name: str
    input: Value | None
    output: Value | None = None


@dataclass(eq=False, kw_only=True)
class Op:
    """One operation.

    Attributes:
        index: its number in the list of its flow, in order of execution.
        kind: its aten name without leading and trailing underscores: `add`, `convolution`, `cat`.
        args: its positional arguments.
        kwargs: its keyword arguments.
        calls: the calls of modules in which it ran, the outermost first.
        reads: the values of all tensors among its arguments, once for every occurrence.
        inputs: those of them that depend on the image, each once.
        output: the first value it computes.
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
        """Path of the innermost module in whose forward pass it ran."""
        return self.calls[-1].name if self.calls else ""

    @property
    def weighted(self) -> bool:
        """Whether it is a convolution or a linear map of one value of the image."""
        return self.kind in WEIGHTED and len(self.inputs) == 1

    @property
    def kernel(self) -> tuple[int, ...]:
        """Kernel size of a convolution; empty for other operations."""
        return self.reads[1].shape[2:] if self.kind == "convolution" else ()

    @property
    def depthwise(self) -> bool:
        """Whether it is a convolution with one input channel in each group and more than one group."""
        return self.kind == "convolution" and self.reads[1].shape[1] == 1 and self.inputs[0].channels > 1


@dataclass(eq=False, kw_only=True)
class Flow:
    """The record of one forward pass.

    Attributes:
        shape: shape of the input.
        ops: operations on values of the image, in order of execution.
        constants: operations on weights and constants alone.
        values: values of the image in order of creation; the first is the image.
        outputs: values that the network returns.
        calls: calls of modules in the order in which they ended.
        times: number of calls of each module by its name.
        kept: storages that autograd saves for the backward pass, each once: the enclosing calls, and the size [bytes].
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
        """Yield the operations that ran in the calls of a module, including those on weights alone."""
        return (op for op in (*self.ops, *self.constants) if any(call.name == name for call in op.calls))

    def readings(self, value: Value) -> int:
        """Return how often a value is read; being an output of the network counts as one more reading."""
        return sum(op.reads.count(value) for op in value.users) + (value in self.outputs)

    def is_final(self, value: Value) -> bool:
        """Return whether no layer with weights depends on a value."""
        first = 0 if value.op is None else value.op.index + 1
        return not any(op.weighted and op.inputs[0].needs(value) for op in self.ops[first:])

    def between(self, start: Value, end: Value) -> list[Op]:
        """Return the operations on all paths from one value to a later one."""
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
