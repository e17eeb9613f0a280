"""A program of `torch.export` as an ONNX graph whose nodes have the names of the network's modules."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from senet.errors import SpecError, not_installed, reason_of
from senet.exporting import large_weights
from senet.exporting.example import Example
from senet.exporting.graph_pooling import Pool, keep_zeros_before_pooling, use_average_pools
from senet.exporting.large_weights import name_beside
from senet.torch_internals import quiet_export

__all__ = ["OPSETS", "BlockNodes", "ensure_installed", "save_onnx", "to_graph"]

OPSETS = (18, 23)
"""First and last version of the operators that can be asked for."""
SCOPES = "pkg.torch.onnx.name_scopes"  # of torch's exporter: the modules around a node, the outermost first
BlockNodes = Mapping[str, Sequence[str]]
"""Names of the nodes of every block, in the order of execution."""


def ensure_installed(purpose: str = "an ONNX file") -> None:
    """Raise an error if a library that writes or runs ONNX files is missing.

    Raises:
        UsageError: if it is.
    """
    for module in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(module)
        except ImportError as error:
            raise not_installed(purpose, module, extra="export") from error


def to_graph(program: ExportedProgram, example: Example, *, opset: int | None = None, pool: Pool = "mean") -> Any:
    """Translate a program into an ONNX graph.

    Args:
        program: the network as `torch.export` sees it.
        example: its input.
        opset: version of the operators; None means that of torch's exporter.
        pool: operator of the means over all positions.

    Returns:
        An `onnx_ir.Model`. Input and output are called `images` and `outputs`, the dimensions that may change `batch`,
        `height` and `width`; every node has the name of its module and its operator, e.g. `layer1.0.conv1/Conv`.

    Raises:
        SpecError: if an operator has no translation, or there is no such version of the operators.
    """
    try:
        with quiet_export():
            exported = torch.onnx.export(program, dynamo=True, opset_version=opset, verbose=False)
    except Exception as error:  # of classes of torch.onnx that are not public
        cause = error.__cause__ or error
        reason = reason_of(cause)
        raise SpecError(f"the network cannot be written as ONNX: {reason}; use .pt2.") from error
    assert exported is not None
    model = exported.model
    keep_zeros_before_pooling(model.graph)
    if pool == "avgpool":
        use_average_pools(model.graph)
    if opset is not None and model.opset_imports[""] != opset:
        raise SpecError(
            f"opset = {opset}: torch's exporter writes version {model.opset_imports['']} of this network; leave it out."
        )
    _rename(model, example)
    return model


def _rename(model: Any, example: Example) -> None:
    """Name values, dimensions and nodes after the network, and remove what the exporter notes of this machine."""
    graph = model.graph
    (images,), (outputs, *_) = graph.inputs, graph.outputs
    images.name, outputs.name = "images", "outputs"
    symbols = {str(images.shape[axis]): name for axis, name in example.axes.items()}
    for value in _values(graph):
        if value.shape is not None:
            value.shape = type(value.shape)([_renamed(dim, symbols) for dim in value.shape])
    used: Counter[str] = Counter()
    for node in graph:
        name = f"{_module_of(node)}/{node.op_type}".removeprefix("/")
        used[name] += 1
        node.name = name if used[name] == 1 else f"{name}_{used[name]}"
        scopes = node.metadata_props.get(SCOPES)
        node.metadata_props.clear()  # paths of this machine among them
        if scopes is not None:
            node.metadata_props[SCOPES] = scopes
        node.doc_string = None
    for value in (*_values(graph), *graph.initializers.values()):
        value.metadata_props.clear()
    model.producer_name, model.doc_string, graph.doc_string = "senet", None, None
    model.metadata_props.clear()
    graph.metadata_props.clear()


def _values(graph: Any) -> Iterator[Any]:
    yield from graph.inputs
    for node in graph:
        yield from node.outputs


def _renamed(dim: Any, symbols: Mapping[str, str]) -> Any:
    if isinstance(dim, int) or dim.value is None:  # an unknown one has no name: equal names would mean equal sizes
        return dim
    text = str(dim)
    for symbol, name in symbols.items():
        text = re.sub(rf"\b{re.escape(symbol)}\b", name, text)
    return text


def _module_of(node: Any) -> str:
    """Return the path of the module that a node comes from: of its weights, as a fused norm leaves its own behind."""
    for value in node.inputs:
        if value is not None and value.is_initializer() and value.name.endswith(".weight"):
            return str(value.name.removesuffix(".weight").removeprefix("network."))
    scopes = _scopes(node)
    return scopes[-1] if scopes else ""


def _scopes(node: Any) -> list[str]:
    text = node.metadata_props.get(SCOPES, "[]")
    return [scope.removeprefix("network.") for scope in ast.literal_eval(text)[:-1] if scope]


def save_onnx(
    program: ExportedProgram,
    example: Example,
    path: Path,
    blocks: Sequence[Sequence[str]],
    metadata: Mapping[str, str],
    opset: int | None,
    pool: Pool = "mean",
) -> BlockNodes:
    """Write a program as an ONNX file; raises `OSError`.

    Weights that are too large for one file lie in a file of their own beside it.

    Args:
        program: the network as `torch.export` sees it.
        example: its input.
        path: the file.
        blocks: for each block the paths of its modules; the first one names it.
        metadata: texts by name, for the file.
        opset: version of the operators; None means that of torch's exporter.
        pool: operator of the means over all positions, see `use_average_pools`.

    Returns:
        The nodes of every block.
    """
    import onnx_ir

    model = to_graph(program, example, opset=opset, pool=pool)
    nodes = {names[0]: tuple(node.name for node in model.graph if {*names} & {*_scopes(node)}) for names in blocks}
    for node in model.graph:
        node.metadata_props.clear()
    model.metadata_props.update(metadata)
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values())
    beside = name_beside(path, metadata["weights"]) if size > large_weights.EXTERNAL_ABOVE else None
    onnx_ir.save(model, path, external_data=beside)
    return nodes
