"""The lowest versions that pyproject.toml allows are installed in an empty environment, and senet works there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = "demo,data,plot,timm,hub,track"
SMOKE = """
import timm, torch, senet
torch.manual_seed(0)
model, x = timm.create_model("resnet18", num_classes=10).eval(), torch.randn(2, 3, 64, 64)
before = model(x)
senet.insert(model, senet.SESpec(reduction=8))
assert torch.equal(model(x), before)
assert senet.cost(model, shape=(1, 3, 64, 64)).params == 11_357_882
assert torch.allclose(senet.optimize(model)(x), before, atol=1e-5)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment with the lowest versions."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("uv is not installed")
    folder = tmp_path_factory.mktemp("lowest")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    words = [uv, "pip", "install", "-q", "--python", str(python), "--resolution", "lowest-direct", f"{ROOT}[{EXTRAS}]"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        if any(word in done.stderr.lower() for word in ("dns error", "error sending request", "connect")):
            pytest.skip("no package registry can be reached")
        pytest.fail(done.stderr)
    return python


def senet(python: Path, folder: Path, *words: str) -> str:
    """Run a command of the installed package, away from the source tree."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(python.with_name("senet")), *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["compare", "--help"], ["models"], ["cost", "resnet20"]])
def test_a_command_answers(python: Path, tmp_path: Path, words: list[str]) -> None:
    assert senet(python, tmp_path, *words).strip()


def test_the_main_job_runs(python: Path, tmp_path: Path) -> None:
    small = ("--seeds", "2", "--epochs", "1", "-j", "1", "data.train_size=200", "data.test_size=100")
    assert "standard" in senet(python, tmp_path, "compare", "--se", "standard", *small)
    assert len(list(tmp_path.glob("out/*/figure.png"))) == 1


def test_a_network_of_timm_is_understood(python: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    subprocess.run([str(python), "-c", SMOKE], cwd=tmp_path, env=environment, check=True)
