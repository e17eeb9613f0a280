"""The page of what `senet.explain` wrote for a small network: both sides of `explain.json` agree."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import senet
from senet.explanation.page.definitions import DEFINITIONS

BESIDE = {"class_share_interval", "class_share_chance", "class_share_p", "eta2_chance", "hidden_widths", "rank_limit"}
BESIDE |= {"information_max"}  # what stands beside another statistic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        senet.SqueezeExcite(8, senet.SESpec(reduction=4)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    images, labels = torch.randn(24, 3, 6, 6), torch.arange(24) % 3
    explanation = senet.explain(model, [(images, labels)], classes=["cat", "dog", "<b>"], interventions=("constant",))
    path = tmp_path_factory.mktemp("network")
    explanation.save(path, figures=())
    return path


def test_every_statistic_is_defined_on_the_page(folder: Path) -> None:
    statistics = json.loads((folder / "explain.json").read_text())["blocks"][0]["statistics"]
    places = [f"{name}.{one}" for name, value in statistics.items() if isinstance(value, dict) for one in value]
    places += [name for name, value in statistics.items() if not isinstance(value, dict)]
    assert set(places) - BESIDE == set(DEFINITIONS)


def test_the_page_holds_all_tables_and_images(folder: Path) -> None:
    held = json.loads(re.search('id="data">(.*?)</script>', (folder / "explain.html").read_text())[1])
    document = json.loads((folder / "explain.json").read_text())
    assert [row["name"] for row in held["rows"]] == [block["name"] for block in document["blocks"]]
    for row in held["rows"]:
        names = set(row["blocks"][0]["arrays"])
        assert names >= {"channels", "class_mean", "class_std", "logit_mean", "extremes.open.image"}
        assert any(name.startswith("condition.") for name in names)
    assert len(held["images"]) == len(document["images"])
    assert held["notes"] == document["notes"]
    assert held["classes"] == ["cat", "dog", "<b>"]
