"""`make docs` builds the site without a warning; it is complete and needs no network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_site_builds_without_a_warning_and_needs_no_network(tmp_path: Path) -> None:
    for module in ("sphinx", "furo", "myst_parser", "sklearn"):
        pytest.importorskip(module)
    site = tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-c",
        "docs/site",
        ".",
        str(site),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"\]\(([^)]+)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    assert len(listed) > 30
    assert [page for page in listed if not (site / page).is_file()] == []
    assert "docs/index.html" in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "demo" / "explain.html").stat().st_size > 50_000
    assert "docs/tour" in (site / "searchindex.js").read_text(encoding="utf-8")
    for page in ("docs/index.html", "docs/site/made/demo.html", "search.html", "README.html"):
        text = (site / page).read_text(encoding="utf-8")
        assert re.findall(r'<(?:script|img|link rel="stylesheet"|iframe)[^>]*(?:src|href)="https?:[^"]*"', text) == []
