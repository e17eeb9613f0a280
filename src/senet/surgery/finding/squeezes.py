"""Find squeeze-and-excitation in a data flow: an average over positions, layers, a gate, and the product."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import takewhile
from math import prod

from senet.dataflow.flow import ACTIVATIONS, Flow, Op, Value

__all__ = ["SAME", "Squeeze", "source_of", "squeezes"]

AVERAGES = frozenset({"mean", "sum", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"})
SAME = frozenset({
    *("view", "reshape", "unsafe_view", "unsqueeze", "squeeze", "permute", "transpose", "t"),
    *("clone", "alias", "detach", "to_copy", "contiguous"),
})  # fmt: skip
"""Operations that only change the shape or order of their input."""

PLAIN = SAME | {"div", "mul", "expand", "select"}
"""Operations that may also precede the layers: a sum is divided, axes are removed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Squeeze:
    """One squeeze-and-excitation in a data flow.

    Attributes:
        ops: the operations of the average, the layers and the gate, in order.
        layers: those of them that have weights.
        product: the product of gate and map.
        gated: the map.
        widths: widths of the layers, `(channels, hidden, ..., channels)`.
    """

    ops: tuple[Op, ...]
    layers: tuple[Op, ...]
    product: Op
    gated: Value
    widths: tuple[int, ...]

    @property
    def modules(self) -> tuple[str, ...]:
        """Paths of the modules in which its layers run."""
        return tuple(op.module for op in self.layers)


def squeezes(flow: Flow) -> Iterator[Squeeze]:
    """Yield the squeeze-and-excitations of a forward pass.

    The gate of a map must be computed from the average of the same map over all positions by a single chain of
    operations, which excludes gates that add two descriptors (CBAM), weight positions (global context) or keep one
    spatial axis (coordinate attention).

    Source:
        Hu et al., arXiv:1709.01507, Eq. 2-4.
    """
    for op in flow.ops:
        if op.kind == "mul" and len(op.inputs) == 2:
            for gate, gated in (op.inputs, op.inputs[::-1]):
                if found := _excitation(op, gate, gated):
                    yield found
                    break


def _excitation(product: Op, gate: Value, gated: Value) -> Squeeze | None:
    source = source_of(gated)
    ops: list[Op] = []
    value = gate
    while source_of(value) is not source:
        if value.op is None or len(value.op.inputs) != 1:
            return None
        ops.insert(0, value.op)
        value = value.op.inputs[0]
    layers = tuple(op for op in ops if op.weighted)
    before = list(takewhile(lambda op: not op.weighted, ops))
    after = list(takewhile(lambda op: not op.weighted, reversed(ops)))
    if not layers or not any(op.kind in AVERAGES for op in before) or not _is_wide(value):
        return None
    if not all(op.kind in AVERAGES | PLAIN for op in before) or not any(op.kind in ACTIVATIONS for op in after):
        return None
    if not all(_on_one_position(op) for op in layers):
        return None
    widths = (layers[0].inputs[0].channels, *(op.output.channels for op in layers))
    if not widths[0] == widths[-1] == value.channels > 1:
        return None
    return Squeeze(ops=tuple(ops), layers=layers, product=product, gated=gated, widths=widths)


def source_of(value: Value, through: Collection[str] = SAME) -> Value:
    """Return the value that operations of some kinds made, by default changes of shape or order alone."""
    while value.op is not None and value.op.kind in through and len(value.op.inputs) == 1:
        value = value.op.inputs[0]
    return value


def _is_wide(value: Value) -> bool:
    return value.axis is not None and prod(value.sizes) > 1


def _on_one_position(op: Op) -> bool:
    return max(op.kernel, default=1) == 1 and prod(op.inputs[0].sizes) == prod(op.output.sizes) == 1
