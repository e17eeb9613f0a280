"""docs/recipes/lightning.md runs as it is written, and its network learns."""

from pathlib import Path

import pytest

import senet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),  # Lightning's use of torch
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning"),
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),  # workers, folders
]


def test_the_recipe_of_a_lightning_module_runs(page) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("lightning", reason="needs pip install 'senet[recipes]'")
    names = page("docs/recipes/lightning.md")
    assert names["trainer"].current_epoch == 3
    assert names["trainer"].callback_metrics["accuracy"] > 0.6
    assert len(names["missing"]) == 12
    assert Path("classifier.onnx").exists()
    for design in ((), (senet.SESpec(reduction=4),)):  # as `senet compare --train` calls it
        assert 0 <= names["fit"](design, 0) <= 100
