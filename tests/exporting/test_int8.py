"""int8: what stays in float is named by its nodes, and the loss of the file is within the bound."""

import json

import pytest
import torch
from exports import Done

from senet.errors import SpecError
from senet.exporting.int8.quantizer import Quantizer
from senet.exporting.int8.report import Int8, decibel
from senet.exporting.int8.search import quantize
from senet.exporting.int8.units import units_of
from senet.networks.exported_network import ExportedNetwork
from senet.surgery.folding.answers import answers, compare

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def images() -> list[torch.Tensor]:
    return [torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]


@pytest.fixture(scope="module")
def quantizer(done: Done, images: list[torch.Tensor]) -> Quantizer:
    return Quantizer(done.report.path, images)


def dequantized(content: bytes) -> dict[str, bool]:
    """Whether the first input of every layer comes from int8."""
    graph = onnx.load_from_string(content).graph
    maker = {value: node.op_type for node in graph.node for value in node.output}
    layers = ("Conv", "Gemm", "Mul")
    return {node.name: maker.get(node.input[0]) == "DequantizeLinear" for node in graph.node if node.op_type in layers}


def test_every_node_belongs_to_a_block_or_to_a_layer(done: Done, quantizer: Quantizer) -> None:
    units = units_of(quantizer.model, done.report.blocks)
    assert [unit.name for unit in units if unit.block] == [f"stage{n}.unit1.se" for n in (1, 2, 3)]
    named = [node for unit in units for node in unit.nodes]
    assert sorted(named) == sorted(node.name for node in quantizer.model.graph.node)
    first = units[0]
    assert [node.rpartition("/")[2] for node in first.gate] == ["ReduceMean", "Conv", "Relu", "Conv", "Sigmoid"]
    assert first.nodes == (*first.gate, "stage1.unit1.se/Mul")
    assert (first.weights, units[-1].weights) == (16 * 4 * 2, 64 * 10)


def test_a_gate_in_float_leaves_the_layers_around_it_in_int8(done: Done, quantizer: Quantizer) -> None:
    whole = dequantized(quantizer.quantized([]))
    assert all(whole.values())
    units = units_of(quantizer.model, done.report.blocks)
    gates = dequantized(quantizer.quantized([node for unit in units for node in unit.gate]))
    assert {name for name, in_int8 in gates.items() if not in_int8} == {
        f"stage{n}.unit1.se.fc{fc}/Conv" for n in (1, 2, 3) for fc in (1, 2)
    }


def test_the_zero_of_a_sigmoid_gate_is_the_integer_zero(quantizer: Quantizer) -> None:
    model = onnx.load_from_string(quantizer.quantized([]))
    values = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    gates = {node.output[0] for node in model.graph.node if node.op_type == "Sigmoid"}
    zeros = [values[n.input[2]] for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] in gates]
    assert zeros
    assert all(zero == 0 for zero in zeros)


def test_a_bound_that_the_images_cannot_show_is_refused_before_any_measurement(
    done: Done, images: list[torch.Tensor]
) -> None:
    test = [(x, done.model(x).argmax(1)) for x in images]
    with pytest.raises(SpecError, match=r"max_drop = 0.5 .* cannot be shown with 40 test images: the interval ends at"):
        quantize(done.report.path, done.report.blocks, images, test, Int8())
    with pytest.raises(SpecError, match="max_drop = 0 is not possible"):
        Int8(max_drop=0)
    with pytest.raises(SpecError, match="calibrate = 0 is too few"):
        Int8(calibrate=0)


@pytest.mark.slow
def test_the_search_keeps_the_bound_and_reports_plain_int8_beside(done: Done, images: list[torch.Tensor]) -> None:
    x = torch.randn(600, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    test = [(part, done.model(part).argmax(1)) for part in x.split(100)]
    settings = Int8(calibrate=40, rank=20, max_drop=3.0)
    content, report = quantize(done.report.path, done.report.blocks, images, test, settings)
    assert report.chosen is not None
    before, after = (answers(ExportedNetwork(file), test) for file in (done.report.path, content))
    step = compare(before, after, blocks=0, name="", params=0)
    assert (step.loss, step.high) == (report.chosen.loss, report.chosen.high)
    assert report.chosen.high <= 3.0
    assert report.plain in report.curve
    assert report.gates in report.curve
    assert (report.correct, report.images, report.calibrated) == (600, 600, 40)
    ranked = [decibel(0.01), *(part.snr for part in report.parts)]
    assert min(ranked) > 0
    precisions = {part.name: part.precision for part in report.parts}
    said = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    assert json.loads(said["int8"]) == precisions
    assert json.loads(said["senet"])["network"]["model"] == "resnet8"
    json.dumps(report.as_dict())
