"""docs/recipes/yolo.md runs as it is written, and its detector learns."""

import pytest
from torch import nn

import senet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_recipe_of_a_yolo_like_detector_runs(page) -> None:  # type: ignore[no-untyped-def]
    given = nn.Sequential(nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.ReLU())
    names = page("docs/recipes/yolo.md", names={"model": given})
    assert names["before"] > 0.5
    assert names["right"]() > names["before"] - 0.05
    assert len(names["explanation"].blocks) == 5
    assert len(senet.find(names["model"])) == 5 - len(names["folded"].removed)
    assert senet.find(names["other"]) == ()
    assert not names["into_norms"].scaled
    assert names["report"].error < 1e-4
