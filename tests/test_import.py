"""What importing costs, and what it must not load."""

import importlib.metadata
import subprocess
import sys

import pytest

import senet
import senet.version

HELP = """
from typer.testing import CliRunner
from senet.cli.commands import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
"""


TRAINING = """
import sys
import senet
import senet.version
senet.SqueezeExcite
print("torch" in sys.modules)
import senet.training.train, senet.execution.execute
"""


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import senet; senet.SESpec(reduction=8)",
        "import senet.cli.commands, senet.cli.setting_list as s; s.setting_list()",
        "import senet.data; senet.data.DataSpec()",
        "import senet.settings, senet.experiments.study, senet.experiments.decoding, senet.experiments.summary",
        "import senet.reports.study_table, senet.search.space, senet.search.strategies.greedy",
        HELP,
    ],
)
def test_values_and_help_load_no_torch(code: str) -> None:
    assert not {"torch", "numpy", "torchvision", "matplotlib", "scipy"} & loaded_after(code)


def test_torch_arrives_with_the_first_name_that_needs_it_and_training_brings_no_other_library() -> None:
    loaded = loaded_after(TRAINING)
    assert "True" in loaded
    assert not {"torchvision", "matplotlib", "timm", "sklearn", "pyarrow", "optuna", "sqlalchemy"} & loaded


def test_every_public_name_exists() -> None:
    for name in senet.__all__:
        assert getattr(senet, name) is not None
    assert callable(senet.cost), "the function hides the module of its name"
    with pytest.raises(AttributeError, match="squeeze_excite"):
        senet.squeeze_excite  # noqa: B018


def test_a_source_tree_that_is_not_installed_has_a_version_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert senet.__version__ == importlib.metadata.version("senet")

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    with monkeypatch.context() as patched:
        patched.setattr(importlib.metadata, "version", version)
        assert importlib.reload(senet.version).__version__ == "0+source"
    importlib.reload(senet.version)
