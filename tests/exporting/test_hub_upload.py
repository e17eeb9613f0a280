"""`senet export --to hf:OWNER/NAME`, with the Hub's own client against a server on this machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from exports import ORIGIN, SPEC, network
from hub_server import TOKEN, hub
from study_results import SHORT
from study_results import result as trained

import senet
from senet.errors import NumericError, SpecError, StorageError, UsageError
from senet.exporting import checked_export
from senet.exporting.folder import export_folder, upload
from senet.weights.front_matter import front_matter

huggingface_hub = pytest.importorskip("huggingface_hub")
for library in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(library)

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_an_upload_commits_the_checked_folder_to_a_private_repository(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    folder = senet.save_pretrained(model, tmp_path / "net", name="resnet8", se=SPEC, in_chans=1, image_size=8)
    with hub(monkeypatch) as found:
        code, out, err = call("export", str(folder), "--to", "hf:me/net", "--license", "apache-2.0")
        assert code == 0, err
        assert "written: hf:me/net" in out
        (asked,) = found.created
        assert (asked["name"], asked["organization"]) == ("net", "me")
        assert asked.get("private") or asked.get("visibility") == "private"  # by the version of the client
        assert found.cards == [found.files["README.md"].decode()]
        assert {*found.files} == {"README.md", "config.json", "model.safetensors", "model.onnx"}
        there = tmp_path / "there"
        there.mkdir()
        for name, content in found.files.items():
            (there / name).write_bytes(content)
        x = torch.rand(2, 1, 8, 8)
        with torch.no_grad():
            torch.testing.assert_close(senet.from_pretrained(there)(x), model(x))
            torch.testing.assert_close(senet.from_pretrained(there / "model.onnx")(x), model(x), rtol=1e-5, atol=1e-5)
        card = huggingface_hub.ModelCard.load(there / "README.md")
        assert (card.data.license, card.data.library_name) == ("apache-2.0", "senet")
        found.refuse = 413
        code, _, err = call("export", str(folder), "--to", "hf:me/net")
        assert (code, err.count("\n")) == (5, 1)
        assert "hf:me/net: cannot upload: " in err


@pytest.mark.slow
def test_nothing_is_uploaded_if_the_check_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_export, "runner", lambda file: lambda x: torch.zeros(len(x), 10))
    with hub(monkeypatch) as found:
        with pytest.raises(NumericError, match="so nothing was written"):
            upload("hf:me/net", lambda place: export_folder(network(), place, origin=ORIGIN))
        assert not found.created
        assert not found.files


def test_without_a_token_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UsageError, match=r"hf:me/net needs a token that may write to the Hub; run `hf auth login`"):
        upload("hf:me/net", lambda place: pytest.fail("exported"))
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: TOKEN)
    with pytest.raises(StorageError, match="full"):
        upload("hf:me/net", _full)


def _full(place: Path) -> senet.Exported:
    raise StorageError("the disk is full.")


def test_the_front_matter_is_what_the_hub_reads() -> None:
    result = trained(SHORT, 812)
    text = front_matter('a "net": #1\n', licence="cc-by-4.0", result=result)
    card = huggingface_hub.ModelCard(text + "# Title\n")
    assert card.data.license == "cc-by-4.0"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.model_name == 'a "net": #1\n'
    (one,) = card.data.eval_results
    assert (one.task_type, one.dataset_type, one.dataset_name) == (
        "image-classification", result.run.data.name, result.run.data.title,
    )  # fmt: skip
    assert one.metric_type == "accuracy"
    assert one.metric_value == pytest.approx(result.accuracy / 100, abs=1e-6)
    with pytest.raises(SpecError, match=r"licence = 'Apache 2' \(--license\) is not an identifier of the Hub"):
        front_matter("net", licence="Apache 2")
    assert huggingface_hub.ModelCard(front_matter("net") + "# Title\n").data.license is None
