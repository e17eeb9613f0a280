"""What the README shows is what the commands print."""

import re
from pathlib import Path

import pytest

from senet.experiments.study import read_study
from senet.models import list_models
from senet.networks.count import counted_row
from senet.reports.study_list import list_studies
from senet.reports.zoo_costs import COSTS, matching, titled
from senet.tables import Table

ROOT = Path(__file__).parents[1]


def test_the_zoo_table_is_what_the_command_prints() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- zoo:begin -->\n(.*?)<!-- zoo:end -->", readme, re.DOTALL)
    assert shown
    assert shown[1] == Table.of_records(titled(matching("*")), code=True).markdown()
    assert list(COSTS) == list_models()


SOME = ("cnn3", "kth_resnet52", "resnet20", "resnet50", "wrn16_8")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in SOME)) for n in COSTS])
def test_the_costs_of_the_zoo_are_what_counting_gives(name: str) -> None:
    assert counted_row(name) == COSTS[name]


def test_every_relative_link_leads_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("studies/reports/*/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_list_of_studies_is_what_the_command_prints() -> None:
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- studies:begin -->\n(.*?)<!-- studies:end -->", text, re.DOTALL)
    assert shown
    assert shown[1] == Table.of_records(list_studies(ROOT / "studies"), code=True).markdown()


def test_the_study_that_the_documents_show_decodes(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    shown = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert shown
    path = tmp_path / "study.toml"
    path.write_text(shown[1], encoding="utf-8")
    for quick in (False, True):
        assert [row.id for row in read_study(path, quick=quick).rows] == ["plain", "se"]
