"""`senet fold`: from a network and its images to the folded network, its table and its figure."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import senet
from senet.reports.fold_report import as_markdown, block_table, draw, sentence, step_table
from senet.surgery import Folded, fold, skeleton
from senet.weights.safe import read_weights


def network() -> nn.Module:
    return senet.create_model("resnet8", se=senet.SESpec(reduction=4), num_classes=10, in_chans=1).eval()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of a network whose first block has a constant gate."""
    model = network()
    nn.init.zeros_(model.stage1.unit1.se.fc2.weight)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


DIGITS = ("--se", "standard:reduction=4", "--data", "digits", "--device", "cpu", "--statistics", "60")
FEW = ("data.train_size=100", "data.test_size=80")


def test_it_ends_in_a_table_a_figure_and_the_folded_network(call, weights: Path, tmp_path: Path) -> None:
    code, out, err = call("fold", "resnet8", *FEW, "--weights", str(weights), *DIGITS, "--tolerance", "0")
    assert code == 0, err
    assert "stage1.unit1.branch.norm2 (before)" in out
    assert "1 of 3 blocks removed" in out
    assert "pass 1 of at most 8: gates" in err
    folder = tmp_path / "out" / "fold"
    names = {"README.md", "config.json", "curve.csv", "figure.png", "fold.json", "model.safetensors", "report.md"}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    steps = list(csv.DictReader((folder / "curve.csv").read_text().splitlines()))
    assert [step["name"] for step in steps][:2] == ["", "stage1.unit1.se"]
    assert str(tmp_path) not in (folder / "report.md").read_text()
    told = json.loads((folder / "fold.json").read_text())
    original, twin = network(), network()
    original.load_state_dict(read_weights(weights))
    skeleton(twin, told["removed"], scaled=told["scaled"])
    twin.load_state_dict(read_weights(folder / "model.safetensors"), strict=True)
    x = torch.rand(4, 1, 8, 8)
    assert torch.allclose(twin(x), original(x), rtol=1e-5, atol=1e-6)


def test_a_dry_run_writes_no_network_and_prints_json(call, weights: Path, tmp_path: Path) -> None:
    words = ("fold", "resnet8", *FEW, "--weights", str(weights), *DIGITS, "--dry-run", "--json", "-o", "dry")
    code, out, err = call(*words)
    assert code == 0, err
    told = json.loads(out)
    assert len(told["steps"]) == 4
    assert told["measure"] == "accuracy"
    assert not (tmp_path / "dry" / "model.safetensors").exists()
    assert "pass" not in err


def test_a_finished_run_folds_from_its_folder_alone(call, tmp_path: Path) -> None:
    code, _, err = call(
        "train", "--data", "digits", "--se", "standard:reduction=4", "--epochs", "1", "--device", "cpu", "-o", "run",
        "data.train_size=100", "data.test_size=50",
    )  # fmt: skip
    assert code == 0, err
    code, out, err = call("fold", "run", "--tolerance", "inf", "--blocks", "2", "--device", "cpu", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["chosen"], len(told["removed"]), told["test_images"]) == (2, 2, 50)
    code, _, err = call("fold", "run", "data.test_size=20")
    assert code == 2
    assert "run is a run and has its own weights and settings" in err


@pytest.mark.parity
def test_a_network_of_another_library_folds_by_its_name(call, tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models")
    for number in range(6):
        for name in ("cat", "dog"):
            path = tmp_path / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40), (40 * number, 90, 200 if name == "cat" else 20)).save(path)
    torch.save(models.mobilenet_v3_small(num_classes=2).state_dict(), tmp_path / "tv.pt")
    words = ("torchvision:mobilenet_v3_small", "--data-dir", "photos", "--device", "cpu", "data.size=32")
    code, out, err = call("fold", *words, "--weights", "tv.pt", "--blocks", "1", "--tolerance", "inf", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["measure"], len(told["blocks"]), told["chosen"]) == ("accuracy", 9, 1)
    config = json.loads(next(Path(file) for file in told["files"] if file.endswith("config.json")).read_text())
    seen = config["preprocessing"]
    assert (seen["size"], seen["crop"], seen["mean"]) == (32, pytest.approx(224 / 256), [0.485, 0.456, 0.406])
    torch.save(models.mobilenet_v3_small(num_classes=3).state_dict(), tmp_path / "tv3.pt")
    code, _, err = call("fold", *words, "--weights", "tv3.pt")
    assert code == 4
    assert "classifier.3.weight is (3, 1024) in the file and (1000, 1024) in the network" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("resnet8", "--data", "digits"), 2, "pass --weights FILE"),
        (("torchvision:resnet51", "--weights", "w.pt"), 2, "Did you mean resnet50"),
        (("resnt8", "--data", "digits", "--weights", "w.pt"), 2, "resnet8"),
        (("resnet8", "--data", "digits", "--weights", "w.pt"), 4, "does not exist"),
    ],
)
def test_mistakes_are_one_line_with_the_way_out(call, words, code, message) -> None:
    if words[0].startswith("torchvision"):
        pytest.importorskip("torchvision")
    found, _, err = call("fold", *words, "--device", "cpu")
    assert found == code
    assert message in err
    assert len(err.strip().splitlines()) == 1


def reports() -> list[Folded]:
    x, y = torch.rand(12, 1, 8, 8), torch.arange(12) % 10
    return [
        fold(network(), [(x, y)], tolerance=None, blocks=2),
        fold(network(), [x], dry_run=True),
        fold(nn.Sequential(network(), nn.Unflatten(1, (2, 5))), [x], tolerance=None),
        fold(nn.Conv2d(1, 2, 1), [x]),
    ]


def test_every_measure_has_its_table_and_figure(tmp_path: Path) -> None:
    for report in reports():
        steps, blocks = step_table(report), block_table(report)
        assert all(len(row) == len(table.heads) for table in (steps, blocks) for row in table.rows)
        assert len(blocks.rows) == len(report.blocks)
        assert sentence(report).endswith(".")
        assert "# net: blocks folded" in as_markdown(report, title="net", command="senet fold")
        if report.steps:
            draw(report, tmp_path / "figure.png", title="net")
            assert (tmp_path / "figure.png").stat().st_size > 10_000
