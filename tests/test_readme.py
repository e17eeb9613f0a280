"""What README and docs show is what the commands print, and what they count is there."""

import importlib
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from senet.experiments.study import read_study
from senet.kinds import KINDS
from senet.models import list_models
from senet.networks.count import counted_row
from senet.reports import study_list
from senet.reports.zoo_costs import COSTS, matching, titled
from senet.tables import Table

ROOT = Path(__file__).parents[1]


def test_the_zoo_table_is_what_the_command_prints() -> None:
    page = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- zoo:begin -->\n(.*?)<!-- zoo:end -->", page, re.DOTALL)
    assert shown
    assert shown[1] == Table.of_records(titled(matching("*")), code=True).markdown()
    assert list(COSTS) == list_models()


def test_the_readme_counts_what_there_is_and_stays_short() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 180
    assert f"{len(list_models())} networks of the papers: docs/zoo.md" in readme
    assert f"| {len(list_models())} networks |" in readme
    assert f"| {len(KINDS)} kinds, channels only |" in readme


def test_badges_and_citation_state_what_the_package_states() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation
    assert f"\nlicense: {project['license']}\n" in citation
    assert f"version = {{{project['version']}}}" in (ROOT / "docs" / "citation.md").read_text(encoding="utf-8")
    assert f"| senet {project['version']} |" in (ROOT / "README.md").read_text(encoding="utf-8")
    badges = {
        name: (ROOT / "docs" / "img" / f"badge_{name}.svg").read_text(encoding="utf-8")
        for name in ("python", "licence", "typed")
    }
    assert f"Python: {project['requires-python'].removeprefix('>=')}+" in badges["python"]
    assert f"licence: {project['license']}" in badges["licence"]
    assert (ROOT / "src" / "senet" / "py.typed").is_file()


def test_the_citation_file_has_what_its_format_asks_for() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    for work in (citation, *citation["references"]):
        assert work["title"]
        assert all(author.get("name") or author["family-names"] for author in work["authors"])
    urls = [work["url"] for work in citation["references"]]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [url for url in urls if f"({url})" not in readme] == []


def test_llms_txt_lists_the_pages_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "site")
    made = importlib.import_module("llms").llms_text()
    assert made == (ROOT / "llms.txt").read_text(encoding="utf-8"), "run `python docs/site/llms.py`"
    for page in ROOT.glob("docs/**/*.md"):
        name = page.relative_to(ROOT).as_posix()
        assert f"({name})" in made or name == "docs/index.md" or "/made/" in name, f"{name} is not in docs/index.md"


def test_the_home_page_quotes_the_page_of_evidence() -> None:
    home, page = (
        " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split()) for name in ("index.md", "evidence.md")
    )
    numbers = re.findall(r"[+-]\d+\.\d\d \[[+-]\d+\.\d\d, [+-]\d+\.\d\d\]", home)
    assert len(numbers) == 3
    assert [number for number in numbers if number not in page] == []


@pytest.mark.slow
@pytest.mark.parity
def test_the_comparison_counts_what_the_libraries_have() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    compared = 0
    for library in ("timm", "monai", "pytorchcv"):
        pytest.importorskip(library)
        compared += f" {version(library)} |" in readme
    if compared < 3:
        pytest.skip("the table is about other versions than those installed")
    timm = importlib.import_module("timm")
    assert f"{len(timm.list_models()):,} architectures and {len(timm.list_models(pretrained=True)):,} sets" in page
    names = list(importlib.import_module("pytorchcv.model_provider")._models)  # noqa: SLF001
    with_blocks = [name for name in names if name.startswith(("seres", "sepre", "senet"))]
    assert f"{len(names)} names of networks" in page
    assert f"{len(with_blocks)} of them are SE-ResNets" in page
    monai = importlib.import_module("monai.networks.nets.senet")
    assert len(monai.SE_NET_MODELS) == 6


SOME = ("cnn3", "kth_resnet52", "resnet20", "resnet50", "wrn16_8")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in SOME)) for n in COSTS])
def test_the_costs_of_the_zoo_are_what_counting_gives(name: str) -> None:
    assert counted_row(name) == COSTS[name]


def test_every_relative_link_leads_somewhere() -> None:
    for pages in ("*.md", "docs/*.md", "docs/recipes/*.md", "studies/reports/*/*.md"):
        for path in ROOT.glob(pages):
            text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)  # code holds no links
            for link in re.findall(r"\]\(([^)#]+)\)", text):
                if "://" not in link:
                    assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_list_of_studies_is_what_the_command_prints() -> None:
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- studies:begin -->\n(.*?)<!-- studies:end -->", text, re.DOTALL)
    assert shown
    assert shown[1] == study_list.titled(study_list.list_studies(ROOT / "studies")).markdown()


def test_the_study_that_the_documents_show_decodes(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    shown = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert shown
    path = tmp_path / "study.toml"
    path.write_text(shown[1], encoding="utf-8")
    for quick in (False, True):
        assert [row.id for row in read_study(path, quick=quick).rows] == ["plain", "se"]
