"""The wheel holds all that the commands need: it works without a checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).parent / "uv"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not UV.exists(), reason="uv is not installed")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, and install it alone into a folder."""
    folder = tmp_path_factory.mktemp("package")
    built = subprocess.run(
        [UV, "build", "--wheel", "-o", folder / "dist", ROOT], capture_output=True, text=True, check=False
    )
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("hatchling cannot be fetched here")
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run([UV, "pip", "install", "-q", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def senet(site: Path, cwd: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "senet", *words]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_is_the_installed_one_and_compiles_its_kernels(installed: Path, tmp_path: Path) -> None:
    code = (
        "import senet, senet.fast.kernels.native as native; print(senet.__file__); "
        "print(native.SOURCE.is_file(), native.SOURCE)"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    out = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert out.stdout.count(str(installed)) == 2, out.stderr
    assert "True" in out.stdout


def test_its_studies_are_found_by_name_in_any_folder(installed: Path, tmp_path: Path) -> None:
    assert "variations_table1" in senet(installed, tmp_path, "studies", "--json")
    state = senet(installed, tmp_path, "status", "variations_table1", "--quick")
    assert "6 runs: 6 waiting" in state
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_runs_from_it(installed: Path, tmp_path: Path) -> None:
    out = senet(
        installed, tmp_path, "compare", "--epochs", "1", "--seeds", "2", "data.train_size=64", "data.test_size=50"
    )
    assert "plain" in out
    assert (tmp_path / "runs").is_dir()
