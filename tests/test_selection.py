"""The lead of the best of equals: the simulation against order statistics, the pages against their results."""

import importlib
import json
import shutil
from collections.abc import Callable
from math import comb
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from senet.errors import SpecError

ROOT = Path(__file__).parents[1]
AUTHORS = ROOT / "studies" / "reports" / "kth_authors"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def exactly(reference: str, lead: float) -> float:
    """Integrate the chance [percent] that the best of 13 standard normals leads a reference by this much."""
    below = {
        "plain": lambda x: norm.pdf(x) * norm.cdf(x + lead) ** 13,
        "best constant": lambda x: 4 * norm.pdf(x) * norm.cdf(x) ** 3 * norm.cdf(x + lead) ** 9,
        "(16, 16, 16)": lambda x: norm.pdf(x) * norm.cdf(x + lead) ** 12,
    }
    return float(100 * (1 - quad(below[reference], -10, 10)[0]))


def test_the_search_of_the_report_is_read_from_its_table(script: Callable[[str], ModuleType]) -> None:
    selection = script("selection")
    table = selection.schemes()
    assert list(table)[:5] == ["plain", "(2, 2, 2)", "(4, 4, 4)", "(8, 8, 8)", "(16, 16, 16)"]
    assert len(table) == 14
    leads = {name: round(lead, 2) for name, lead in selection.observed().items()}
    assert leads == {"plain": 0.56, "best constant": 0.36, "(16, 16, 16)": 0.47}


def test_simulated_leads_of_equals_have_the_chances_of_order_statistics(script: Callable[[str], ModuleType]) -> None:
    selection = script("selection")
    normal = selection.normal_leads()
    for reference in ("plain", "best constant", "(16, 16, 16)"):
        for lead in (0.5, 1.5, 2.5):
            assert selection.chance(normal[reference], lead) == pytest.approx(exactly(reference, lead), abs=0.5)
    mean, _ = quad(lambda x: x * 13 * norm.pdf(x) * norm.cdf(x) ** 12, -10, 10)
    assert normal["plain"].mean() == pytest.approx(mean, abs=0.01)


def test_leads_by_test_images_alone_are_those_of_half_the_discordant_ones(script: Callable[[str], ModuleType]) -> None:
    selection = script("selection")
    count, total = selection.discordant()
    sd = (count / 2) ** 0.5  # of one network [images]: two differ by the square root of the discordant ones
    assert selection.image_noise().sd == pytest.approx(100 * sd / total, rel=1e-3)
    drawn = selection.image_leads()
    for reference, images in (("plain", 36), ("plain", 56), ("(16, 16, 16)", 47)):
        near = exactly(reference, (images - 0.5) / sd)  # whole images: the correction for continuity
        assert selection.chance(drawn[reference], 100 * images / total) == pytest.approx(near, abs=1.0)


def test_the_spread_over_seeds_is_pooled_within_designs(script: Callable[[str], ModuleType]) -> None:
    noise = script("selection").Noise.of_spread("two seeds", np.var([1.0, 3.0], ddof=1), 1, images=100)
    assert noise.sd == pytest.approx(2**0.5)
    assert noise.scaled(400).sd == pytest.approx(noise.sd / 2)
    assert (noise.low, noise.high) == (
        pytest.approx(0.631, abs=1e-3),
        pytest.approx(45.13, abs=1e-2),
    )  # chi-square, df 1


def test_the_page_on_selection_is_what_the_command_writes(script: Callable[[str], ModuleType]) -> None:
    assert script("selection_report").page() == (ROOT / "benchmarks" / "SELECTION.md").read_text("utf-8")


def test_the_report_of_the_kth_authors_is_that_of_its_results(script: Callable[[str], ModuleType]) -> None:
    kth = script("kth_report")
    found = kth.read()
    assert kth.page(found) == (AUTHORS / "report.md").read_text("utf-8")
    assert {one.label: one.correct for one in kth.answers(found)} == {
        "ResNet-52": 9097,
        "SE-ResNet-52 (8, 8, 8)": 9117,
        "SE-ResNet-52 (8, 2, 16)": 9153,
    }
    assert [pair.gains - pair.losses for pair in kth.pairs(found)] == [20, 56, 36]


def test_mcnemars_test_is_the_tail_of_a_fair_coin(script: Callable[[str], ModuleType]) -> None:
    pair = script("kth_report").Pair(first="a", second="b", losses=2, gains=8, total=100)
    assert pair.p == pytest.approx(2 * sum(comb(10, k) for k in range(3)) / 2**10)
    mean, low, high = pair.interval
    assert mean == pytest.approx(6)
    assert low < 0.3 < 11.7 < high


def test_a_record_of_right_images_that_contradicts_its_matrix_is_refused(
    script: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    kth = script("kth_report")
    shutil.copy(AUTHORS / kth.RESULTS, tmp_path)
    found = kth.read(tmp_path)
    found["networks"][0]["right"] = found["networks"][1]["right"]
    (tmp_path / kth.RESULTS).write_text(json.dumps(found), "utf-8")
    with pytest.raises(SpecError, match="right marks 9117 images and the curve 9097"):
        kth.read(tmp_path)
