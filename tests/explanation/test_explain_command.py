"""`senet explain`: from a network and its images to the table, the files and the exit codes."""

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import nn

import senet

DIGITS = ("--se", "standard:reduction=4", "--data", "digits", "--device", "cpu")
FEW = ("data.train_size=100", "data.test_size=80", "images=20")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of a network whose first block has a constant gate."""
    model = senet.create_model("resnet8", se=senet.SESpec(reduction=4), num_classes=10, in_chans=1)
    nn.init.zeros_(model.stage1.unit1.se.fc2.weight)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_it_ends_in_a_table_and_files(call, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from senet.explanation.figures import FIGURES

    monkeypatch.setattr("senet.explanation.saving.FIGURES", {"strip": FIGURES["strip"]})
    (tmp_path / "by.csv").write_text("\n".join(["half", *["even", "odd"] * 40]))
    code, out, err = call("explain", "resnet8", *FEW, "--weights", str(weights), *DIGITS, "--by", "by.csv")
    assert code == 0, err
    assert "stage1.unit1.se: constant to the last bit: fold it" in out
    assert "80 images of 10 classes, 8 images a class" in out
    assert "pass 1 of at most 7: gates of all images" in err
    folder = tmp_path / "out" / "explain"
    assert (folder / "strip.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads((folder / "explain.json").read_text())
    assert told["data"]["split"] == "test"
    assert told["data"]["held_out"] is True
    assert told["data"]["by"] == ["brightness", "contrast", "half"]
    assert len(told["model"]["weights_sha256"]) == 64
    assert str(tmp_path) not in json.dumps(told["made"])
    assert [block["stage"] for block in told["blocks"]] == [1, 2, 3]
    assert all(image["thumbnail"] for image in told["images"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--classes", "zebra"], 2, "--classes zebra is not a class of the images"),
        (["--by", "none.csv"], 3, "--by none.csv cannot be read as CSV"),
        (["--compare", "nowhere"], 3, "--compare nowhere is not the folder"),
        (["split=half"], 2, "split"),
    ],
)
def test_mistakes_are_one_line(call, weights: Path, words: list[str], code: int, said: str) -> None:
    got, out, err = call("explain", "resnet8", *FEW, "--weights", str(weights), *DIGITS, *words)
    assert (got, out) == (code, "")
    assert said in err
    assert len([line for line in err.splitlines() if line.startswith("senet: ")]) == 1


@pytest.mark.slow
def test_two_runs_are_compared_on_the_same_images(call, tmp_path: Path) -> None:
    for seed in ("0", "1"):
        words = ("--model", "resnet8", *DIGITS, "--epochs", "1", "--seed", seed, "-o", seed)
        code, _, err = call("train", *words, "data.train_size=200", "data.test_size=100")
        assert code == 0, err
    code, out, err = call("explain", "0", "--compare", "1", "images=20", "--json")
    assert code == 0, err
    assert json.loads(out)["data"]["images"] == 100
    told = json.loads((tmp_path / "out" / "explain" / "explain.json").read_text())
    assert told["data"]["held_out"] is True
    assert told["other"]["folder"] == "other"
    assert len(told["other"]["differences"]["blocks"]) == 3
    assert (tmp_path / "out" / "explain" / "other" / "explain.json").exists()


@pytest.mark.parametrize("words", [("split=train",), ("data.val_size=80",)])
def test_weights_do_not_tell_whether_training_images_are_held_out(
    call, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("senet.explanation.saving.FIGURES", {})
    code, _, err = call(
        "explain", "resnet8", *FEW, "--weights", str(weights), *DIGITS, "interventions=identity", *words
    )
    assert code == 0, err
    assert json.loads((tmp_path / "out" / "explain" / "explain.json").read_text())["data"]["held_out"] is None


def test_the_name_in_python_is_the_function() -> None:
    import senet.explanation

    assert callable(senet.explain)
    assert senet.explain is senet.explanation.explain
