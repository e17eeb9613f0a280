"""Exported files: the same outputs, names of the network, nothing of this machine, and no file where they differ."""

import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest
import torch
from exports import ORIGIN, SPEC, Done, network
from torch import nn

import senet
from senet.errors import NumericError, SpecError, StorageError, UsageError
from senet.exporting import checked_export
from senet.exporting.example import Example
from senet.exporting.graph import save_onnx
from senet.exporting.program import to_program
from senet.kinds import KINDS
from senet.networks.exported_network import ExportedNetwork
from senet.spec import GATE_NAMES, SQUEEZE_NAMES, VARIANTS
from senet.weights.exported_file import read_exported

pytest.importorskip("onnxscript")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


class Flat(nn.Module):
    """A network whose classifier fits one size of images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4 * 6 * 6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).flatten(1))


def test_an_exported_file_gives_the_outputs_of_the_network_on_any_batch(done: Done) -> None:
    run = ExportedNetwork(done.report.path)
    for number in (1, 3, 8):
        x = torch.randn(number, 1, 8, 8)
        with torch.no_grad():
            torch.testing.assert_close(run(x), done.model(x), rtol=1e-5, atol=1e-5)
    assert [p.name for p in done.report.path.parent.iterdir()] == ["my net.onnx"]


def test_the_check_takes_several_batches_real_images_and_random_norms(done: Done) -> None:
    seen = [(one.weights, one.images, one.shape[0]) for one in done.report.checks]
    assert seen == [
        *(("own", "random", n) for n in (1, 2, 5)),
        *(("own", "real", n) for n in (1, 2, 5, 12)),
        *(("random norms", "random", n) for n in (1, 2, 5)),
    ]
    assert done.report.error < 1e-5
    assert all(one.agree == one.shape[0] for one in done.report.checks)


def test_nodes_have_the_names_of_modules_and_blocks_know_theirs(done: Done) -> None:
    graph = onnx.load(done.report.path).graph
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert {"stem.conv/Conv", "stage1.unit1.se.fc1/Conv", "stage1.unit1.se/Mul", "fc/Gemm"} <= {*names}
    assert list(done.report.blocks) == [f"stage{n}.unit1.se" for n in (1, 2, 3)]
    types = {node.name: node.op_type for node in graph.node}
    for block, nodes in done.report.blocks.items():
        assert [types[name] for name in nodes] == ["ReduceMean", "Conv", "Relu", "Conv", "Sigmoid", "Mul"], block


def test_the_file_holds_its_description_and_no_path_of_this_machine(done: Done) -> None:
    said = read_exported(done.report.path)
    assert said["network"]["model"] == "resnet8"
    assert said["input"] == {"shape": [2, 1, 8, 8], "dynamic": ["batch"]}
    assert said["classes"]["7"] == "7"
    assert {"senet", "torch", "onnxruntime"} <= said["versions"].keys()
    content = done.report.path.read_bytes()
    assert str(Path(senet.__file__).parent).encode() not in content
    assert str(Path(torch.__file__).parent).encode() not in content
    hashes = [entry.value for entry in onnx.load(done.report.path).metadata_props if entry.key == "weights"]
    assert len(hashes[0]) == 64


def test_eval_tests_an_exported_file_like_the_folder_that_it_is_of(
    call: Callable[..., tuple[int, str, str]], done: Done, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    senet.save_pretrained(done.model, tmp_path / "net", name="resnet8", se=SPEC, in_chans=1, image_size=8)
    answers = []
    for what in (str(tmp_path / "net"), str(done.report.path)):
        code, out, err = call("eval", what, "--data", "digits", "--device", "cpu")
        assert code == 0, err
        answers.append(out.partition(": ")[2].partition(", loss")[0])
    assert answers[0] == answers[1]
    assert " correct, top-1 " in answers[0]


def test_a_flipped_bias_is_refused_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = checked_export.save_onnx

    def faulty(*given: Any) -> Any:
        nodes = kept(*given)
        model = onnx.load(given[2])
        name = next(node for node in model.graph.node if node.op_type == "Gemm").input[2]
        bias = next(one for one in model.graph.initializer if one.name == name)
        bias.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(bias), name))
        onnx.save(model, given[2])
        return nodes

    monkeypatch.setattr(checked_export, "save_onnx", faulty)
    with pytest.raises(NumericError, match=r"the exported file differ from .*so nothing was written") as caught:
        senet.export(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), tmp_path / "net.onnx", shape=(1, 3, 2, 2))
    assert caught.value.exit_code == 6
    assert not any(tmp_path.iterdir())


def test_a_size_that_the_network_does_not_take_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"Flat takes no images of 40x40 and 72x72 and 104x104, .*; leave it out\.$"):
        senet.export(Flat().eval(), tmp_path / "net.onnx", shape=(1, 3, 8, 8), dynamic_size=True)
    assert not any(tmp_path.iterdir())


class Padded(nn.Module):
    """Zeros around a map whose values are all negative, then a maximum, as in the stem of BiT networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        nn.init.constant_(self.conv.bias, -100.0)
        self.pad, self.pool = nn.ConstantPad2d(1, 0.0), nn.MaxPool2d(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.pad(self.conv(x))).flatten(1)


def test_zeros_around_a_map_stay_zeros_in_onnxruntime(tmp_path: Path) -> None:
    model, given, x = Padded().eval(), Example(shape=(2, 3, 8, 8)), torch.randn(2, 3, 8, 8)
    save_onnx(to_program(model, given), given, tmp_path / "net.onnx", [], {}, None)
    with torch.no_grad():
        torch.testing.assert_close(ExportedNetwork(tmp_path / "net.onnx")(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_is_one_line(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=rf"an ONNX file needs {missing}; run: pip install {missing}, or .*\[export\]"):
        senet.export(network(), tmp_path / "net.onnx")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "options", "sentence"),
    [
        ("net.tflite", {}, r"has no suffix that is known; choose one of: \.onnx, \.pt2"),
        ("net.pt2", {"opset": 18}, r"opset = 18 is for \.onnx"),
        ("net.onnx", {"opset": 9}, r"opset = 9 is not supported; choose 18 to"),
        ("net.onnx", {"fold": 0.5}, r"fold = 0.5 needs images"),
        ("net.onnx", {"shape": (1, 8)}, r"shape = \(1, 8\) is not a shape of images"),
        ("net.onnx", {"shape": (1, 3, 8, 8)}, r"does not run on an input of shape \(1, 3, 8, 8\)"),
    ],
)
def test_an_argument_that_does_not_fit_is_one_line(
    path: str, options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=sentence):
        senet.export(network(), tmp_path / path, **options)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_nothing_is_left(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name in ("net.onnx", "net.pt2"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(StorageError, match=r"net\..*: cannot write.*no space left"):
                senet.export(network(), tmp_path / name, shape=(1, 1, 8, 8))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_static_batches_other_sizes_programs_folds_and_large_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    static = senet.export(model, tmp_path / "static.onnx", shape=(3, 1, 8, 8), static=True)
    assert {one.shape[0] for one in static.checks} == {3}
    run, x = ExportedNetwork(static.path), torch.randn(7, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(run(x), model(x), rtol=1e-5, atol=1e-5)
    sizes = senet.export(model, tmp_path / "sizes.onnx", shape=(1, 1, 8, 8), dynamic_size=True)
    assert {one.shape[2:] for one in sizes.checks} == {(8, 8), (40, 40)}
    program = senet.export(model, tmp_path / "net.pt2", shape=(1, 1, 8, 8))
    with torch.no_grad():
        torch.testing.assert_close(torch.export.load(program.path).module()(x), model(x))
    images = [torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(3))]
    folded = senet.export(model, tmp_path / "folded.onnx", images=images, fold=100.0, origin=ORIGIN)
    assert folded.folded is not None
    assert len(folded.folded.removed) == 3
    assert not folded.blocks
    monkeypatch.setattr("senet.exporting.large_weights.EXTERNAL_ABOVE", 1000)
    large = senet.export(model, tmp_path / "large.onnx", shape=(1, 1, 8, 8))
    beside = next(tmp_path.glob("large.onnx-*.data"))
    assert large.bytes == large.path.stat().st_size + beside.stat().st_size
    with torch.no_grad():
        torch.testing.assert_close(ExportedNetwork(large.path)(x), model(x), rtol=1e-5, atol=1e-5)


class Parallel(nn.Module):
    """Every kind, every variant with every squeeze, and all gates in turn, each on a map of its own; returns means.

    On a common map the exporter would merge equal nodes of different blocks: the pooling, and a block without weights
    with another one.
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        conv: type[nn.Module] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
        gates, self.specs = cycle(GATE_NAMES), [senet.SESpec.kind(name).but(reduction=2) for name in KINDS]
        for variant, squeeze in product(VARIANTS, SQUEEZE_NAMES):
            with suppress(SpecError):  # they do not go together
                self.specs.append(senet.SESpec(variant=variant, gate=next(gates), squeeze=squeeze, reduction=2))
        self.blocks = nn.ModuleList(senet.SqueezeExcite(8, spec, dims=dims) for spec in self.specs)
        self.conv = conv(2, 8 * len(self.blocks), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.conv(x).chunk(len(self.blocks), 1)
        return torch.cat([block(one).flatten(2).mean(2) for block, one in zip(self.blocks, maps, strict=True)], 1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_all_variants_squeezes_and_gates_export(dims: int, tmp_path: Path) -> None:
    model = Parallel(dims).eval()
    assert {spec.gate for spec in model.specs} == {*GATE_NAMES}
    report = senet.export(model, tmp_path / "all.onnx", shape=(1, 2, *[6 if dims < 3 else 4] * dims))
    assert [*report.blocks] == [f"blocks.{at}" for at in range(len(model.specs))]
    assert all(report.blocks.values())
    nodes = [node for block in report.blocks.values() for node in block]
    assert len({*nodes}) == len(nodes)
    assert report.error < 1e-5
