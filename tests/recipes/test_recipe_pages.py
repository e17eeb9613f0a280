"""Every recipe is a page with a test of its own, and the index leads to each."""

from pathlib import Path

from doc_blocks import ROOT, read_blocks

PAGES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
NAMES = [path.stem for path in PAGES if path.stem != "index"]


def test_every_page_has_its_test_and_every_test_its_page() -> None:
    tests = sorted(Path(__file__).parent.glob("test_recipe_*.py"))
    assert [path.stem for path in tests if path.stem != "test_recipe_pages"] == [f"test_recipe_{n}" for n in NAMES]
    for name in NAMES:
        test = Path(__file__).with_name(f"test_recipe_{name}.py").read_text(encoding="utf-8")
        assert f'page("docs/recipes/{name}.md"' in test


def test_every_page_has_code_that_runs_and_says_its_limits() -> None:
    for path in PAGES:
        blocks = list(read_blocks(path))
        if path.stem != "index":
            assert sum(block.runs for block in blocks) >= 4, path.name
            assert "\n## Limits\n" in path.read_text(encoding="utf-8"), path.name
        else:
            assert not any(block.runs for block in blocks), "the index only leads to the pages"


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "recipes" / "index.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"]({name}.md)" in index
