"""The evidence of docs/search_evidence.md is that of committed results, by a command, and the page quotes it."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    place = ROOT / "benchmarks" / "search_evidence.py"
    spec = importlib.util.spec_from_file_location("search_evidence", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["search_evidence"] = module
    spec.loader.exec_module(module)
    return module


def test_the_committed_page_is_what_the_command_gives(script: ModuleType) -> None:
    assert script.evidence() == (ROOT / "benchmarks" / "SEARCH.md").read_text(encoding="utf-8")


def test_every_interval_of_the_page_on_searches_is_in_the_evidence_or_a_report() -> None:
    written = [ROOT / "benchmarks" / "SEARCH.md", *(ROOT / "studies" / "reports").glob("*_quick/**/report.md")]
    known = " ".join(path.read_text(encoding="utf-8") for path in written)
    page = " ".join((ROOT / "docs" / "search_evidence.md").read_text(encoding="utf-8").split())
    intervals = re.findall(r"[+-]?\d+\.\d\d \[[+-]?\d+\.\d\d, [+-]?\d+\.\d\d\]", page)
    assert len(intervals) > 15
    assert [interval for interval in intervals if interval not in known] == []


def test_the_analysis_of_variance_is_that_of_nested_least_squares(script: ModuleType) -> None:
    table = np.random.default_rng(0).normal(size=(3, 5)) + np.arange(5)
    means, noise, f, df, p = script.two_way(table.tolist())
    rows, columns = (np.eye(n)[index.ravel()] for n, index in zip((3, 5), np.indices((3, 5)), strict=True))
    y = table.ravel()

    def rest(design: np.ndarray) -> float:
        return float(((y - design @ np.linalg.lstsq(design, y)[0]) ** 2).sum())

    whole = rest(np.hstack([rows, columns]))
    assert df == (4, 8)
    assert f == pytest.approx((rest(rows) - whole) / 4 / (whole / 8))
    assert p == pytest.approx(stats.f.sf(f, 4, 8))
    assert means == pytest.approx(table.mean(axis=0).std(ddof=1))
    assert noise == pytest.approx((whole / 8 / 3) ** 0.5)
