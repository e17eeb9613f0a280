"""`senet export` to a folder, to the Hub and to a file: what lies there, and one line where it cannot."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from exports import SPEC, network

import senet
from senet.exporting.int8 import search
from senet.exporting.int8.quantizer import Quantizer
from senet.exporting.int8.units import Unit, units_of

for library in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(library)

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return senet.save_pretrained(network(), tmp_path / "net", name="resnet8", se=SPEC, in_chans=1, image_size=8)


@pytest.mark.slow
def test_a_folder_holds_weights_description_file_and_a_card_with_the_checks(call: Call, folder: Path) -> None:
    pytest.importorskip("sklearn")
    compared = folder.parent / "compared"
    compared.mkdir()
    (compared / "report.md").write_text("# Digits\n\nstandard r=4: pays off\n", encoding="utf-8")
    words = ("--data", "digits", "--to", "out dir", "--license", "apache-2.0", "--comparison", str(compared))
    code, out, err = call("export", str(folder), *words, "--int8", "--max-drop", "5", "--calibrate", "60", "rank=20")
    assert code == 0, err
    made = folder.parent / "out dir"
    assert {path.name for path in made.iterdir()} == {"README.md", "config.json", "model.safetensors", "model.onnx"}
    card = (made / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card
    assert "## Exported file" in card
    assert "| random norms | random | 5x1x8x8 |" in card
    assert "| plain int8 | 100 |" in card
    assert "### Digits\n\nstandard r=4: pays off" in card
    x = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(senet.from_pretrained(made)(x), senet.from_pretrained(folder)(x))
    report = json.loads((folder.parent / "out" / "export" / "report.json").read_text(encoding="utf-8"))
    assert report["chosen"]["high"] <= 5
    assert "written: out/export/report.json" in out
    code, out, err = call("eval", str(made / "model.onnx"), "--data", "digits", "--device", "cpu")
    assert code == 0, err
    assert " correct, top-1 " in out


@pytest.mark.slow
def test_a_bound_that_no_network_keeps_has_a_report_and_no_file(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")

    def blocks_only(*given: Any) -> list[Unit]:
        return [unit for unit in units_of(*given) if unit.block]  # so the layers are always in int8

    def clipping(path: Path, batches: Sequence[torch.Tensor], **options: Any) -> Quantizer:
        return Quantizer(path, [x / 1000 for x in batches], **options)  # ranges that the images exceed

    monkeypatch.setattr(search, "units_of", blocks_only)
    monkeypatch.setattr(search, "Quantizer", clipping)
    words = ("--data", "digits", "--int8", "--max-drop", "1.1", "--calibrate", "60", "rank=20")
    code, _, err = call("export", str(folder), *words)
    assert code == 6, err
    assert not Path("model.onnx").exists()
    report = json.loads(Path("out/export/report.json").read_text(encoding="utf-8"))
    assert report["chosen"] is None
    assert report["file"] is None
    best = min(report["curve"], key=lambda step: (step["high"], -step["params"]))
    assert best["high"] > 1.1
    sentence = f"the best of {len(report['curve'])}, {best['name']}, lost {best['loss']:+.2f} with the interval "
    assert sentence in err
    assert "out/export/report.md" in err
    text = Path("out/export/report.md").read_text(encoding="utf-8")
    assert sentence in text
    assert "No file was written." in text
    assert all(f"| {step['name']} |" in text for step in report["curve"])


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_one_line(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    code, _, err = call("export", str(folder), "--to", "hf:me/net")
    assert code == 5
    assert "hf:me/net: cannot upload: " in err
    assert err.count("\n") == 1


def test_what_needs_images_or_weights_is_said_in_one_line(call: Call, folder: Path) -> None:
    for words, sentence in (
        (("resnet8",), "resnet8 has no weights; pass --weights FILE, nothing is downloaded."),
        ((str(folder), "--int8"), "--int8 needs images; pass --data-dir DIR, or leave it out."),
        ((str(folder), "--fold", "0.5"), "--fold 0.5 needs images; pass --data-dir DIR, or leave it out."),
        ((str(folder), "--shape", "large"), "--shape large is not a valid shape; write N,C,H,W, e.g. 1,3,224,224."),
        ((str(folder), "--to", "net.tflite"), "choose one of: .onnx, .pt2"),
        ((str(folder), "--to", "hf:net"), "hf:net is not a repository of the Hub; write hf:OWNER/NAME."),
        ((str(folder), "--to", "out", "--comparison", "none"), "none has no report.md that can be read"),
    ):
        code, _, err = call("export", *words)
        assert code in (2, 4), err
        assert sentence in err
        assert not list(Path().glob("*.onnx"))
