"""Faults of an export: one line each, an older file is intact, and no file is left behind."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from exports import SPEC, network
from torch import nn

import senet
from senet.errors import NumericError, SpecError, StorageError
from senet.exporting import checked_export
from senet.files.atomic import staged
from senet.networks.exported_network import ExportedNetwork

for library in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(library)

Call = Callable[..., tuple[int, str, str]]


def tiny() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()


def zeros(_: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: torch.zeros(len(x), 3)


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export that writes a few bytes instead of a graph."""

    def save(program: object, example: object, path: Path, *more: object) -> dict[str, Any]:
        path.write_bytes(b"new")
        return {}

    monkeypatch.setattr(checked_export, "to_program", lambda *given: None)
    monkeypatch.setattr(checked_export, "save_onnx", save)
    monkeypatch.setattr(checked_export, "runner", zeros)


@pytest.mark.parametrize("fault", [KeyboardInterrupt, NumericError, MemoryError])
def test_an_export_that_ends_early_leaves_the_older_file_and_nothing_else(
    fault: type[BaseException], stubbed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object, **options: object) -> None:
        raise fault("stop")

    path = tmp_path / "größe 网络.onnx"
    path.write_bytes(b"old")
    monkeypatch.setattr(checked_export, "check", stop)
    with pytest.raises(fault):
        senet.export(tiny(), path, shape=(1, 3, 2, 2))
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_ctrl_c_during_an_export_to_a_folder_leaves_no_folder(
    call: Call, stubbed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    folder = senet.save_pretrained(network(), tmp_path / "net", name="resnet8", se=SPEC, in_chans=1, image_size=8)
    monkeypatch.setattr(checked_export, "check", stop)
    for to in ("out", "net.onnx"):
        code, _, err = call("export", str(folder), "--to", to)
        assert code == 130, err
        assert err.count("\n") <= 1
    assert not Path("out").exists()
    assert not [one for one in Path().iterdir() if one.name.startswith((".tmp", "net.onnx"))]


@pytest.mark.slow
def test_a_place_that_cannot_be_written_is_one_line(call: Call, tmp_path: Path) -> None:
    folder = senet.save_pretrained(network(), tmp_path / "net", name="resnet8", se=SPEC, in_chans=1, image_size=8)
    (tmp_path / "file").write_bytes(b"")
    places = ["file/net.onnx", "file", "x" * 300 + ".onnx", *(["/proc/net.onnx"] if Path("/proc").is_dir() else [])]
    for to in places:
        code, _, err = call("export", str(folder), "--to", str(tmp_path / to) if to[0] != "/" else to)
        assert code == 5, (to, err)
        assert err.count("\n") == 1, err
        assert "cannot write" in err
    assert {one.name for one in tmp_path.iterdir()} >= {"net", "file"}
    assert not [one for one in tmp_path.rglob("*") if one.suffix == ".onnx" or one.name.startswith(".tmp")]


class OneBatch(nn.Module):
    """A network that torch.export fixes to the batch of its example."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :3] * len(x.flatten(1).tolist())


class Parts(OneBatch):
    """The same with its answer in a mapping."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        return {"out": super().forward(x)}


class Wide(nn.Module):
    """A network whose forward pass asks for the size of its images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[2] % 8 == 0
        return x.reshape(x.shape[0], 3, 8, -1).mean((2, 3))


@pytest.mark.slow
def test_what_torch_export_cannot_follow_is_one_line(tmp_path: Path) -> None:
    for model, options, sentence in (
        (OneBatch(), {}, r"OneBatch cannot be exported: |OneBatch does not take batches of any size; use static=True"),
        (Parts(), {}, r"Parts cannot be exported: |Parts does not take batches of any size; use static=True"),
        (Wide(), {"dynamic_size": True}, r"Wide does not take images of any size; leave out the dynamic size"),
    ):
        with pytest.raises(SpecError, match=sentence) as caught:
            senet.export(model.eval(), tmp_path / "net.onnx", shape=(1, 3, 8, 8), **options)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_of_two_exports_to_one_path_the_later_one_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with staged(path) as first:
        first.write_bytes(b"first")
        first.with_name("net.onnx-1.data").write_bytes(b"1")
        with staged(path) as second:
            assert first != second
            second.write_bytes(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert {one.name for one in tmp_path.iterdir()} == {"net.onnx", "net.onnx-1.data"}


@pytest.mark.slow
def test_large_weights_of_an_older_file_go_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("senet.exporting.large_weights.EXTERNAL_ABOVE", 10)
    path, other = tmp_path / "a net.onnx", tmp_path / "a net.onnx-notes.txt"
    other.write_text("mine", encoding="utf-8")
    for _ in range(2):
        model = tiny()
        report = senet.export(model, path, shape=(1, 3, 2, 2))
        beside = [one for one in tmp_path.iterdir() if one.suffix == ".data"]
        assert len(beside) == 1
        assert report.bytes == path.stat().st_size + beside[0].stat().st_size
        x = torch.randn(3, 3, 2, 2)
        with torch.no_grad():
            torch.testing.assert_close(ExportedNetwork(path)(x), model(x), rtol=1e-5, atol=1e-5)
    moved = tmp_path / "moved"
    moved.mkdir()
    for one in (path, *beside):
        shutil.move(one, moved / one.name)
    with torch.no_grad():
        torch.testing.assert_close(ExportedNetwork(moved / path.name)(x), model(x), rtol=1e-5, atol=1e-5)
    monkeypatch.setattr("senet.exporting.large_weights.EXTERNAL_ABOVE", 10**9)
    senet.export(model, moved / path.name, shape=(1, 3, 2, 2))
    assert [one.name for one in moved.iterdir()] == [path.name]
    assert other.exists()


def test_the_export_of_a_missing_folder_makes_it(
    stubbed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_export, "check", lambda *given, **options: ())
    monkeypatch.setattr(checked_export, "latency", lambda *given: None)
    report = senet.export(tiny(), tmp_path / "a" / "b" / "net.onnx", shape=(1, 3, 2, 2))
    assert report.path.read_bytes() == b"new"
    with pytest.raises(StorageError, match="cannot write"):
        senet.export(tiny(), report.path / "net.onnx", shape=(1, 3, 2, 2))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_weights_above_two_gigabytes_lie_beside_the_file(tmp_path: Path) -> None:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines() if Path("/proc/meminfo").is_file() else []
    free = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), 0)
    if free < 12 * 2**20:
        pytest.skip("it takes 9 GiB of memory")
    model = nn.Sequential(nn.Flatten(), nn.Linear(12288, 45_000), nn.ReLU(), nn.Linear(45_000, 10)).eval()
    report = senet.export(model, tmp_path / "a net.onnx", shape=(1, 3, 64, 64))
    assert report.bytes > 2**31
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".data", ".onnx"]
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ExportedNetwork(report.path)(x), model(x), rtol=1e-4, atol=1e-5)
