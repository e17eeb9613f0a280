"""The parts of a graph that are quantised, or stay in float, as a whole: blocks, and the layers between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["LAYERS", "Precision", "Unit", "scale_of", "units_of"]

Precision = Literal["int8", "gate_fp32", "block_fp32", "fp32"]
"""`gate_fp32`: the squeeze, the excitation and the gate are computed in float, and the map is scaled in int8."""
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A block, or a layer with the nodes that follow it.

    Attributes:
        name: of the block, or of the layer's node.
        block: whether it is a block.
        nodes: names of its nodes, in the order of execution.
        gate: those of a block that compute its gate; empty for a layer.
        weights: elements of its weights [1].
    """

    name: str
    block: bool
    nodes: tuple[str, ...]
    gate: tuple[str, ...] = ()
    weights: int = 0

    @property
    def float_precision(self) -> Precision:
        """The precision of the unit in float."""
        return "block_fp32" if self.block else "fp32"

    def in_float(self, precision: Precision) -> tuple[str, ...]:
        """Return the nodes that stay in float."""
        return {"int8": (), "gate_fp32": self.gate, "block_fp32": self.nodes, "fp32": self.nodes}[precision]

    def float_weights(self, precision: Precision) -> int:
        """Return how many elements of its weights stay in float [1]; all weights of a block are those of its gate."""
        return 0 if precision == "int8" else self.weights


def units_of(model: Any, blocks: Mapping[str, Sequence[str]]) -> tuple[Unit, ...]:
    """Divide the nodes of a graph into blocks and layers.

    Args:
        model: an `onnx.ModelProto`.
        blocks: nodes of every block.

    Returns:
        The blocks in their order, then the layers in the order of execution. Nodes before the first layer belong to
        none: they are quantised with their neighbours.
    """
    sizes = {one.name: _elements(one.dims) for one in model.graph.initializer}
    block_of = {node: name for name, nodes in blocks.items() for node in nodes}
    members: dict[str, list[Any]] = {name: [] for name in blocks}
    layer_of: dict[str, str] = {}  # by value: the layer that computed it
    for node in model.graph.node:
        if node.name in block_of:
            home = block_of[node.name]
        elif node.op_type in LAYERS:
            home = node.name
        else:
            home = next((layer_of[value] for value in node.input if value in layer_of), "")
        if not home:
            continue
        inside = node.name in block_of
        # what follows a block belongs to the layer before it
        before = next((layer_of[value] for value in node.input if value in layer_of), "") if inside else home
        layer_of.update(dict.fromkeys(node.output, before) if before else {})
        members.setdefault(home, []).append(node)
    return tuple(
        Unit(
            name=name,
            block=name in blocks,
            nodes=tuple(node.name for node in nodes),
            gate=_gate(nodes) if name in blocks else (),
            weights=sum(sizes.get(value, 0) for node in nodes if node.op_type in LAYERS for value in node.input[1:2]),
        )
        for name, nodes in members.items()
        if nodes
    )


def scale_of(nodes: Sequence[Any]) -> Any | None:
    """Return the node of a block that scales its map: the product of a value of its own with one from outside.

    Args:
        nodes: nodes of the block, in the order of execution.
    """
    own: set[str] = set()
    scale = None
    for node in nodes:
        if node.op_type == "Mul" and len({value in own for value in node.input}) == 2:
            scale = node
        own.update(node.output)
    return scale


def _gate(nodes: Sequence[Any]) -> tuple[str, ...]:
    """Return the nodes of a block before the product with its map."""
    scale = scale_of(nodes)
    return tuple(node.name for node in nodes if node is not scale)


def _elements(dims: Sequence[int]) -> int:
    count = 1
    for side in dims:
        count *= side
    return count
