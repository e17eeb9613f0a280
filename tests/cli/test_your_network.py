"""The commands of docs/your_network.md run on digits, from a function of the user's own to the exported network."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from onnxruntime import InferenceSession

import senet
from senet.weights.writing import write_weights

PAGE = (Path(__file__).parents[2] / "docs" / "your_network.md").read_text(encoding="utf-8")
SMALL = ("data.train_size=80", "data.test_size=40", "epochs=1", "batch_size=40")


@pytest.fixture
def call(call, tmp_path: Path):  # type: ignore[no-untyped-def]
    (tmp_path / "net.py").write_text(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1])  # type: ignore[index]
    return call


def test_the_commands_of_the_page_run_one_after_the_other(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shown = re.search(r"<!-- commands:begin -->\n```bash\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    for line in shown[1].splitlines():
        _, command, *words = shlex.split(line, comments=True)
        words += {
            "train": [*SMALL, "--device", "cpu"],
            "compare": [*SMALL, "--device", "cpu", "-j", "1", "--seeds", "2", "--no-cost"],
            "explain": ["images=20", "--device", "cpu"],
            "fold": ["--device", "cpu", "--tolerance", "inf", "--statistics", "40"],
        }.get(command, [])
        code, out, err = call(command, *words)
        assert code == 0, f"{line}: {err}"
        assert command != "fold" or "senet.from_pretrained('folded', builder='net.py:build')" in out
    explained = json.loads((tmp_path / "explained" / "explain.json").read_text())
    assert [block["name"] for block in explained["blocks"]] == ["1.norm2.se", "2.norm2.se"]
    assert (tmp_path / "explained" / "explain.html").stat().st_size > 10_000
    assert (tmp_path / "net.onnx").stat().st_size > 10_000
    x = torch.rand(3, 1, 8, 8)
    network = senet.from_pretrained(tmp_path / "folded", builder=str(tmp_path / "net.py") + ":build")
    (told,) = InferenceSession(tmp_path / "net.onnx").run(None, {"images": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(told), network(x), rtol=1e-4, atol=1e-5)
    report = next((tmp_path / "out").glob("*/report.md")).read_text(encoding="utf-8")
    assert report.count("Starts from the weights `model.safetensors` (sha256 ") == 1
    assert "Blocks and a new classifier learn at 10 times the rate" in report
    runs = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/run.json")]
    assert {(len(run["se"]), run["recipe"]["optim"]["lr"]) for run in runs} == {(0, 0.005), (1, 0.005)}
    assert len({run["model_hash"] for run in runs}) == len({run["weights_hash"] for run in runs}) == 1
    folded = next(path for path in (tmp_path / "runs").iterdir() if (path / "result.json").exists())
    assert call("eval", str(folded), "--device", "cpu")[0] == 4
    assert call("eval", str(folded), "--builder", "net.py:build", "--device", "cpu")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--model", "net.py:gone"), 2, "net.py has no function 'gone'"),
        (("--weights", "gone.pt"), 4, "gone.pt does not exist"),
        (("--pretrained",), 2, "net.py:build has no pretrained weights of its own; give --weights FILE"),
        (("--pretrained", "--weights", "x.pt"), 2, "--weights x.pt contradict each other; leave one out"),
        (("at=[layer9]", "--weights", "net.py"), 4, "net.py"),
        (
            ("--model", "resnet8", "--weights", "other.safetensors"),
            4,
            "does not fit resnet8: it contains 0 of the network's",
        ),
        (("at='unit9'",), 2, "at = 'unit9' matches no unit"),
        (("optim.block_lr=-1",), 2, "recipe.optim.block_lr = -1.0 is out of range"),
        (("optim.layer_decay=0",), 2, "recipe.optim.layer_decay = 0.0 is out of range"),
    ],
)
def test_a_network_that_does_not_fit_is_one_line_before_the_first_step(call, words, code, said) -> None:  # type: ignore[no-untyped-def]
    write_weights(Path("other.safetensors"), {"conv.weight": torch.zeros(1)})
    found, _, err = call("compare", "--model", "net.py:build", "--se", "standard:reduction=4", *words)
    assert found == code, err
    assert said in err
    assert err.strip().count("\n") == 0


TRAINER = """
import senet

def fit(model, seed):
    return 60 + seed + 0.1 * seed * len(senet.find(model))

def by_design(design, seed):
    return 50 + seed + len(design)
"""


@pytest.mark.usefixtures("no_matplotlib")
def test_a_training_function_is_compared_resumed_and_reported(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    Path("trainer.py").write_text(TRAINER)
    words = ("compare", "--train", "trainer.py:fit", "--model", "net.py:build", "--se", "standard:reduction=4")
    code, out, err = call(*words, "--seeds", "3")
    assert code == 0, err
    assert "trainer.py:fit: standard:reduction=4 against plain" in out
    assert len([line for line in err.splitlines() if " seed " in line]) == 6
    report = next((tmp_path / "out").glob("fit-*/report.md")).read_text()
    assert "| standard r=4 | 61.20 ± 1.20 | +0.20 [" in report
    assert "params" not in report
    code, out, err = call(*words, "--seeds", "auto", "--max-seeds", "5", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["looks"], found["results"]) == ([3, 5], [])
    assert found["rows"][1]["difference"]["mean"] == pytest.approx(0.2 * (len(found["seeds"]) - 1) / 2)
    (values,) = (tmp_path / "runs").glob("*.jsonl")
    assert len(values.read_text().splitlines()) == 2 * len(found["seeds"])
    code, out, _ = call("compare", "--train", "trainer.py:by_design", "--seeds", "2", "--json")
    assert [row["metrics"]["accuracy"]["mean"] for row in json.loads(out)["rows"]] == [50.5, 51.5]


@pytest.mark.usefixtures("no_matplotlib")
def test_a_folder_of_your_network_is_compared_with_its_builder(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert call("train", "--model", "net.py:build", *SMALL, "--device", "cpu", "-o", "f")[0] == 0
    words = ("compare", "--model", "f", "--se", "standard:reduction=4", "--seeds", "1", *SMALL, "-j1", "--no-cost")
    code, _, err = call(*words)
    assert code != 0
    assert "--builder" in err
    code, out, err = call(*words, "--builder", "net.py:build", "--json")
    assert code == 0, err
    runs = [result["run"] for result in json.loads(out)["results"]]
    assert {(run["model"], run["weights"]) for run in runs} == {("net.py:build", "f")}


@pytest.mark.usefixtures("no_matplotlib")
def test_an_error_of_your_training_function_is_said_to_be_yours(call) -> None:  # type: ignore[no-untyped-def]
    text = "def fit(design, seed):\n    if seed:\n        raise OSError('no GPU')\n    return 50\n"
    Path("trainer.py").write_text(text)
    code, _, err = call("compare", "--train", "trainer.py:fit", "--seeds", "2")
    assert code == 1
    said = err.strip().splitlines()[-1]
    assert said.startswith("senet: trainer.py:fit raised OSError: no GPU; the values so far are kept")
    assert said.endswith("(in train('plain', 1))")
    assert "report" not in said


@pytest.mark.parametrize("words", [(), ("--equal-time",)])
def test_images_too_small_for_the_network_are_refused_before_anything_is_measured(call, words, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from senet.training import cost_measurement

    monkeypatch.setattr(cost_measurement, "measure_costs", None)  # calling it fails
    code, _, err = call("compare", "--model", "torchvision:resnet18", "--se", "standard", *words, "--data", "digits")
    assert code == 2
    assert "cannot be trained on images of 8x8 pixels" in err
    assert not Path("runs").exists()
