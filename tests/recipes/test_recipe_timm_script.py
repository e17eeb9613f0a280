"""docs/recipes/timm_script.md runs as it is written, and its network learns."""

from pathlib import Path

import pytest

import senet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:unclosed file.*:ResourceWarning"),  # timm's data set leaves its files open
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_the_recipe_of_timms_script_runs(page) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("timm")
    names = page("docs/recipes/timm_script.md")
    assert names["right"] > 60
    assert len(senet.find(names["again"])) == 4
    assert len(names["explanation"].blocks) == 4
    assert len(senet.find(names["model"])) == 4 - len(names["folded"].removed)
    assert Path("resnet10t.onnx").exists()
