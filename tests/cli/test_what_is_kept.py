"""What a command would drop, replace or mistake without a word is refused in one line."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import senet
from senet.errors import StorageError

TINY = ("--data", "digits", "--epochs", "1", "data.train_size=40", "data.test_size=20", "--device", "cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture
def trained(call: Any, store: Path, tmp_path: Path) -> str:
    """A copy of a run, which is trained once."""
    if not store.exists():
        code, _, err = call("train", "--model", "resnet8", "--se", "standard:reduction=4", *TINY, "-o", str(store))
        assert code == 0, err
    shutil.copytree(store, tmp_path / "run")
    return "run"


def photos(folder: Path, *classes: str) -> None:
    for split in ("train", "test"):
        for name in classes:
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(4):
                pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")


@pytest.mark.parametrize("command", ["eval", "explain", "fold"])
def test_a_run_keeps_its_own_images_and_blocks(call: Any, trained: str, tmp_path: Path, command: str) -> None:
    photos(tmp_path / "photos", "a", "b")
    for words, why in (
        (("--data", "cifar10"), "is a run and has its own weights and settings"),
        (("--data-dir", "photos"), "run was trained on digits, which needs no folder"),
        (("--se", "plain"), "--se is only for networks of `senet models`"),
        (("--origin", "kth"), "--origin is only for networks of `senet models`"),
    ):
        code, _, err = call(command, trained, *words)
        assert code == 2
        assert why in err


def test_images_of_other_classes_are_not_counted_by_position(call: Any, tmp_path: Path) -> None:
    photos(tmp_path / "pets", "cat", "dog")
    photos(tmp_path / "fruit", "apple", "pear")
    words = (
        "--model",
        "resnet8",
        "--data-dir",
        "pets",
        "data.size=16",
        "--epochs",
        "1",
        "-o",
        "run",
        "--device",
        "cpu",
    )
    assert call("train", *words)[0] == 0
    assert call("eval", "run", "--data-dir", "pets")[0] == 0
    code, _, err = call("eval", "run", "--data-dir", "fruit")
    assert code == 3
    assert "run was trained on other classes: class 0 is 'cat' there and 'apple' here" in err
    _, out, err = call("fold", "run", "--data-dir", "fruit", "--dry-run", "-o", "folded")
    assert "no accuracy: run was trained on other classes: class 0 is 'cat'" in " ".join((out + err).split())


def test_images_of_one_class_are_not_trained_on(call: Any, tmp_path: Path) -> None:
    photos(tmp_path / "one", "cat")
    for command in ("compare", "train"):
        code, _, err = call(command, "--model", "resnet8", "--data-dir", "one", "data.size=16", "--epochs", "1")
        assert code == 2
        assert "all of one class, cat" in err


def test_weights_that_senet_did_not_write_are_not_replaced(call: Any, tmp_path: Path) -> None:
    weights = tmp_path / "mine" / "model.safetensors"
    weights.parent.mkdir()
    save_file({"w": torch.ones(3)}, weights)
    before = weights.read_bytes()
    for words in (("train", "--model", "resnet8", *TINY), ("insert", "resnet8", "-r", "4")):
        code, _, err = call(*words, "-o", "mine")
        assert code == 5
        assert "model.safetensors was not written by senet and would be lost" in err
        assert weights.read_bytes() == before
    with pytest.raises(StorageError, match="would be lost"):
        senet.save_pretrained(senet.create_model("resnet8"), weights.parent, name="resnet8")


def test_a_fold_does_not_replace_the_run_that_it_reads(call: Any, trained: str, tmp_path: Path) -> None:
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    code, _, err = call("fold", trained, "-o", trained, "--tolerance", "inf")
    assert code == 5
    assert "run is a run, and its trained weights would be lost" in err
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    for _ in range(2):  # its own folder is written again
        assert call("fold", trained, "-o", "folded", "--tolerance", "inf")[0] == 0
    assert call("fold", trained, "-o", "other", "--dry-run")[0] == 0
    save_file({"w": torch.ones(3)}, tmp_path / "other" / "model.safetensors")
    assert call("fold", trained, "-o", "other", "--tolerance", "inf")[0] == 5, "a dry run does not own what lies there"


def test_a_function_that_has_changed_since_the_training_is_refused(call: Any, tmp_path: Path) -> None:
    source = "from torch import nn\ndef build(num_classes=10):\n    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.{0}(), "
    source += "nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))\n"
    (tmp_path / "net.py").write_text(source.format("ReLU"))
    assert call("train", "--model", "net.py:build", *TINY, "-o", "run")[0] == 0
    assert call("eval", "run", "--builder", "net.py:build")[0] == 0
    (tmp_path / "net.py").write_text(source.format("Tanh"))
    for command in ("eval", "explain", "fold"):
        code, _, err = call(command, "run", "--builder", "net.py:build")
        assert code == 4
        assert re.search(r"net\.py:build has changed since the run was made: \w+ -> \w+", err)


def test_what_insert_writes_of_an_own_network_is_read_as_it_says(call: Any, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torchvision\ndef build(num_classes=10):\n"
        "    return torchvision.models.resnet18(num_classes=num_classes)\n"
    )
    code, out, err = call("insert", "net.py:build", "--image-size", "32", "-o", "gated.safetensors")
    assert code == 0, err
    assert "builder=FUNCTION) loads it; senet eval, fold and cost take it with --builder net.py:build" in " ".join(
        (out + err).split()
    )
    assert call("cost", "gated.safetensors", "--builder", "net.py:build")[0] == 0


def test_a_file_of_weights_is_not_replaced_by_insert(call: Any, tmp_path: Path) -> None:
    save_file({"w": torch.ones(3)}, tmp_path / "mine.safetensors")
    code, _, err = call("insert", "resnet8", "-r", "4", "-o", "mine.safetensors")
    assert code == 5
    assert "mine.safetensors was not written by senet and would be lost" in err
    for _ in range(2):
        assert call("insert", "resnet8", "-r", "4", "-o", "ours.safetensors")[0] == 0
    save_file(senet.create_model("resnet8").state_dict(), tmp_path / "plain.safetensors")
    code, _, err = call("insert", "resnet8", "--weights", "plain.safetensors", "-r", "4", "-o", "plain.safetensors")
    assert code == 5
    assert "would replace the weights that are read" in err


def test_a_folder_that_was_left_half_written_is_written_again(tmp_path: Path) -> None:
    model = senet.create_model("resnet8")
    senet.save_pretrained(model, tmp_path / "net", name="resnet8")
    (tmp_path / "net" / "model.safetensors").unlink()  # it is written last
    senet.save_pretrained(model, tmp_path / "net", name="resnet8")
    assert (tmp_path / "net" / "model.safetensors").exists()


def test_the_blocks_of_an_own_network_are_inserted_before_its_weights_are_tested(call: Any, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch, torchvision\ndef build(num_classes=10, in_chans=1):\n"
        "    net = torchvision.models.resnet18(num_classes=num_classes)\n"
        "    net.conv1 = torch.nn.Conv2d(in_chans, 64, 7, 2, 3, bias=False)\n"
        "    return net\n"
    )
    words = ("data.size=32", "--data", "digits", "data.train_size=20", "data.test_size=20")
    assert call("insert", "net.py:build", "--image-size", "32", "-r", "4", "-o", "gated")[0] == 0
    weights = ("--weights", "gated/model.safetensors", "--device", "cpu")
    design = ("--se", "standard:reduction=4,bias=true")
    code, out, err = call("eval", "--model", "net.py:build", *design, *weights, *words)
    assert code == 0, out + err


def test_card_options_of_a_folder_are_refused_for_a_file(call: Any, trained: str) -> None:
    code, _, err = call("export", trained, "--to", "net.onnx", "--license", "mit")
    assert code == 2
    assert "--license and --comparison are for the card of a folder" in err


def test_weights_load_into_networks_that_ask_for_the_version_of_their_modules(call: Any, tmp_path: Path) -> None:
    """torchvision's MNASNet refuses weights without one, and files of tensors have none."""
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.mnasnet0_5(num_classes=4).eval()
    senet.save_pretrained(model, tmp_path / "net", name="torchvision:mnasnet0_5", num_classes=4)
    again = senet.from_pretrained(tmp_path / "net")
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))


def test_a_report_that_senet_did_not_write_is_not_replaced(call: Any, trained: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "report.md").write_text("# My own report")
    for words in (
        ("compare", "--model", "resnet8", "--se", "standard", *TINY),
        ("explain", trained),
        ("fold", trained),
    ):
        code, _, err = call(*words, "-o", "mine")
        assert code == 5
        assert "report.md was not written by senet and would be lost" in " ".join(err.split())
    assert (tmp_path / "mine" / "report.md").read_text() == "# My own report"
