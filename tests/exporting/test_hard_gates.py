"""Hard gates and average pools in an exported file: fitted to the logits, what was asked for, refused above a bound."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from exports import Done, network
from torch import Tensor, nn

import senet
from senet.errors import NumericError, SpecError
from senet.exporting.example import Example
from senet.exporting.graph import save_onnx
from senet.exporting.hard_gates import HardGates, fitted, harden
from senet.exporting.int8.report import Int8
from senet.exporting.program import to_program
from senet.networks.exported_network import ExportedNetwork

pytest.importorskip("onnxscript")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def images(done: Done) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(4)
    batches = [torch.randn(50, 1, 8, 8, generator=generator) for _ in range(4)]
    with torch.no_grad():
        return [(x, done.model(x).argmax(1)) for x in batches]


def other_images(done: Done) -> list[tuple[Tensor, Tensor]]:
    """Images on which gates reach values that they do not have on the others."""
    x = 20 * torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(5)) + 20
    with torch.no_grad():
        return [(x, done.model(x).argmax(1))]


@pytest.fixture(scope="module")
def hard(done: Done, images: list[Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, HardGates, Any]:
    path = tmp_path_factory.mktemp("hard") / "net.onnx"
    shutil.copyfile(done.report.path, path)
    blocks, report = harden(path, done.report.blocks, images, None, max_drop=50.0)
    return path, report, blocks


def test_the_file_computes_the_hard_gates_of_the_report_and_nothing_else(
    done: Done, hard: tuple[Path, HardGates, Any], images: list[Any]
) -> None:
    path, report, blocks = hard
    model = network()
    model.load_state_dict(done.model.state_dict())
    for gate in report.gates:
        line = partial(lambda z, alpha, beta: (alpha * z + beta).clamp(0, 1), alpha=gate.alpha, beta=gate.beta)
        model.get_submodule(gate.name).gate = line
    x = images[0][0]
    with torch.no_grad():
        torch.testing.assert_close(ExportedNetwork(path)(x), model(x), rtol=1e-5, atol=1e-5)
    graph = onnx.load(path).graph
    assert {node.name for node in graph.node if node.op_type == "HardSigmoid"} == {
        f"stage{n}.unit1.se/HardSigmoid" for n in (1, 2, 3)
    }
    assert all("Sigmoid" not in {node.op_type} for node in graph.node)
    assert {name for names in blocks.values() for name in names} <= {node.name for node in graph.node}
    said = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(said["gates"])["stage1.unit1.se"] == {
        "alpha": report.gates[0].alpha,
        "beta": report.gates[0].beta,
    }


def test_the_report_states_the_change_of_the_outputs_and_of_the_classes(
    done: Done, hard: tuple[Path, HardGates, Any], images: list[Any]
) -> None:
    path, report, _ = hard
    x, y = (torch.cat([pair[at] for pair in images]) for at in (0, 1))
    with torch.no_grad():
        before, after = done.model(x), ExportedNetwork(path)(x)
    assert report.step.correct == int((after.argmax(1) == y).sum())
    centred, moved = (part.double() - part.double().mean(1, keepdim=True) for part in (before, after))
    assert report.step.error == pytest.approx(float((moved - centred).norm() / centred.norm()), rel=1e-3)
    assert report.step.error > 1e-3
    assert report.images == 200


def test_the_fit_is_at_least_as_good_as_every_line_of_a_grid() -> None:
    for low, high in ((-1.0, 1.0), (-8.0, 8.0), (1.0, 4.0), (-30.0, -5.0)):
        z = torch.linspace(low, high, 500).double()
        alpha, beta, error = fitted(z)
        assert error == pytest.approx(float(((alpha * z + beta).clamp(0, 1) - z.sigmoid()).square().mean().sqrt()))
        grid = torch.cartesian_prod(torch.linspace(0.01, 0.4, 40), torch.linspace(-0.2, 1.0, 61)).double()
        others = ((grid[:, :1] * z + grid[:, 1:]).clamp(0, 1) - z.sigmoid()).square().mean(1).sqrt()
        assert error <= float(others.min()) * 1.02 + 1e-3, (low, high)
    assert fitted(torch.full((10,), 2.0).double())[2] < 1e-6


def test_a_loss_above_the_bound_and_gates_that_are_not_sigmoids_are_refused(
    done: Done, images: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "net.onnx"
    shutil.copyfile(done.report.path, path)
    with pytest.raises(SpecError, match=r"max_drop = 0.5 .* cannot be shown with 200 test images"):
        harden(path, done.report.blocks, images, None, max_drop=0.5)
    with pytest.raises(NumericError, match=r"hard gates in 3 blocks: .* at most 2 are allowed .* nothing was written"):
        harden(path, done.report.blocks, images, other_images(done), max_drop=2.0)
    plain = {"fc": ["fc/Gemm"]}
    with pytest.raises(SpecError, match=r"gate = 'hard_sigmoid': no block has a sigmoid gate; keep the gates"):
        harden(path, plain, images, None, max_drop=50.0)
    with pytest.raises(SpecError, match="the network has no SE blocks"):
        harden(path, {}, images, None, max_drop=50.0)


@pytest.mark.parametrize(
    ("path", "options", "sentence"),
    [
        ("net.onnx", {"gate": "hard"}, r"gate = 'hard' is not known; choose one of: hard_sigmoid, keep"),
        ("net.onnx", {"pool": "max"}, r"pool = 'max' is not known; choose one of: avgpool, mean"),
        ("net.onnx", {"gate": "hard_sigmoid"}, r"gate needs images=batches \(--data-dir\)"),
        ("net.pt2", {"pool": "avgpool"}, r"pool = avgpool is for \.onnx"),
    ],
)
def test_a_gate_or_pool_that_does_not_fit_is_one_line(
    path: str, options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=sentence):
        senet.export(network(), tmp_path / path, **options)
    assert not any(tmp_path.iterdir())


class Means(nn.Module):
    """Means over all positions, with and without their axes, and over the channels, which are not a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x.mean((2, 3)) + self.pool(x).flatten(1) + x.mean(1).mean((1, 2))[:, None] + x.mean(3).mean(2)


def test_means_over_all_positions_become_average_pools_and_no_others(tmp_path: Path) -> None:
    model, given, x = Means().eval(), Example(shape=(2, 3, 8, 8), size=True), torch.randn(3, 3, 9, 7)
    save_onnx(to_program(model, given), given, tmp_path / "net.onnx", [], {}, None, "avgpool")
    graph = onnx.load(tmp_path / "net.onnx").graph
    nodes = [node.op_type for node in graph.node]
    assert {one.name for one in graph.initializer} <= {value for node in graph.node for value in node.input}
    assert nodes.count("GlobalAveragePool") == 3  # the last one over the positions of a map of one dimension
    assert nodes.count("ReduceMean") == 3
    with torch.no_grad():
        torch.testing.assert_close(ExportedNetwork(tmp_path / "net.onnx")(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_hard_gates_and_int8_are_measured_against_the_network_with_its_own_gates(
    done: Done, images: list[Any], tmp_path: Path
) -> None:
    report = senet.export(
        done.model, tmp_path / "net.onnx", images=images, test=images, gate="hard_sigmoid", max_drop=50.0,
        pool="avgpool", int8=Int8(calibrate=40, rank=20, max_drop=50.0),
    )  # fmt: skip
    assert report.latency is not None
    assert list(report.latency.ms) == ["torch", "onnxruntime", "hard gates", "int8"]
    x, y = (torch.cat([pair[at] for pair in images]) for at in (0, 1))
    with torch.no_grad():
        right = ExportedNetwork(report.path)(x).argmax(1) == y
    assert report.int8 is not None
    assert report.int8.correct == 200
    assert report.int8.chosen is not None
    assert report.int8.chosen.correct == int(right.sum())
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    options = {"images": images, "test": other_images(done), "gate": "hard_sigmoid", "max_drop": 2.0}
    with pytest.raises(NumericError, match="hard gates in 3 blocks"):
        senet.export(done.model, tmp_path / "no.onnx", **options)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
