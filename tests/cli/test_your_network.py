"""The commands of docs/your_network.md run on digits, from a function of the user's own to the folded network."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch

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
            "fold": [*SMALL[:2], "--device", "cpu", "--tolerance", "inf", "--statistics", "40"],
        }.get(command, [])
        code, _, err = call(command, *words)
        assert code == 0, f"{line}: {err}"
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
        (("--model", "resnet8", "--weights", "other.safetensors"), 4, "does not fit resnet8: it has 0 of its"),
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
