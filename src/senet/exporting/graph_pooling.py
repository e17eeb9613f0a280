"""The pooling of an ONNX graph: what onnxruntime does wrong, and the operator of means over all positions."""

from typing import Any, Literal, get_args

import torch

__all__ = ["POOLS", "Pool", "keep_zeros_before_pooling", "use_average_pools"]

Pool = Literal["mean", "avgpool"]
POOLS: tuple[str, ...] = get_args(Pool)
"""Operators of the mean over all positions of a map: `ReduceMean`, as torch's exporter writes it, or
`GlobalAveragePool`."""
WINDOWS = ("MaxPool", "AveragePool")


def keep_zeros_before_pooling(graph: Any) -> None:
    """Pad with the smallest float instead of 0 before pooling, so that onnxruntime leaves the padding alone.

    onnxruntime 1.31 moves a padding with zeros into the MaxPool behind it, whose own padding is minus infinity: where
    all values of a window are negative, the maximum is wrong, as in the stem of timm's resnetv2_50x1_bit (issue 24737
    of microsoft/onnxruntime; 22177 is the same with AveragePool).
    """
    import onnx_ir

    smallest = None
    for node in graph:
        pooled = node.op_type == "Pad" and any(use.node.op_type in WINDOWS for use in node.outputs[0].uses())
        value = node.inputs[2] if pooled and len(node.inputs) > 2 else None
        if value is None or value.const_value is None or float(value.const_value.numpy()) != 0:
            continue
        if smallest is None:
            held = onnx_ir.tensor(torch.finfo(torch.float32).tiny, dtype=onnx_ir.DataType.FLOAT, name="smallest")
            smallest = onnx_ir.Value(
                name="smallest", shape=held.shape, type=onnx_ir.TensorType(held.dtype), const_value=held
            )
            graph.register_initializer(smallest)
        node.replace_input_with(2, smallest)


def use_average_pools(graph: Any) -> None:
    """Write the means over all positions of a map as GlobalAveragePool, which more runtimes have in integers.

    Args:
        graph: an `onnx_ir.Graph`; changed in place. Means over channels or over some axes of a map stay.
    """
    import onnx_ir

    for node in list(graph):
        if node.op_type != "ReduceMean" or not _is_over_positions(node):
            continue
        keeps = "keepdims" not in node.attributes or node.attributes["keepdims"].as_int() == 1
        pool = onnx_ir.node("GlobalAveragePool", [node.inputs[0]], metadata_props=dict(node.metadata_props))
        made, old = [pool], node.outputs[0]
        if not keeps:
            made.append(onnx_ir.node("Squeeze", [pool.outputs[0], node.inputs[1]], metadata_props=pool.metadata_props))
        new = made[-1].outputs[0]
        new.shape, new.type, new.name = old.shape, old.type, old.name
        graph.insert_before(node, made)
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        axes = node.inputs[1]
        graph.remove(node, safe=True)
        if axes.name in graph.initializers and not axes.uses():
            graph.initializers.pop(axes.name)  # onnxruntime warns of what is not used


def _is_over_positions(node: Any) -> bool:
    """Return whether a mean is over all axes behind the second one."""
    shape, axes = node.inputs[0].shape, node.inputs[1] if len(node.inputs) > 1 else None
    if shape is None or axes is None or axes.const_value is None:
        return False
    rank = len(shape)
    return rank > 2 and sorted(axis % rank for axis in axes.const_value.numpy().tolist()) == list(range(2, rank))
