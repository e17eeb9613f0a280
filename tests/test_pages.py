"""The code of README and of the pages of docs: it runs, and every command that they show exists with its options.

The fast tests parse the commands of all pages and look the names of their Python up. The slow ones run the pages as a
reader would, on the digits of scikit-learn.
"""

import ast
import contextlib
import io
import re
import shlex
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
from doc_blocks import ROOT, Block, read_blocks, run_page, run_senet
from page_rehearsal import GIVEN, Rehearsal

import senet
from senet.cli.commands import app
from senet.cli.settings_words import taken
from senet.spec import designs

TOUR, FAQ = "docs/tour.md", "docs/faq.md"
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]
RECIPES = sorted(f"docs/recipes/{path.name}" for path in ROOT.glob("docs/recipes/*.md"))  # tests/recipes runs them


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """A folder with what the pages name, made once; pages write into it one after the other."""
    return Rehearsal(tmp_path_factory.mktemp("pages"))


def blocks_of(page: str, language: str) -> list[Block]:
    return [block for block in read_blocks(ROOT / page) if block.language == language]


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of every command of `senet` in a block of bash, whatever stands around it."""
    for found in re.finditer(r"(?:^|\s)senet((?: +[^\s#&|;]+)+)", block.text.replace("\\\n", " ")):
        yield shlex.split(found[1])


def parse(words: list[str]) -> None:
    """Parse a command as the command line does, and run nothing."""
    group: Any = typer.main.get_command(app)
    outer = group.make_context("senet", words[:1], resilient_parsing=True)
    command = group.get_command(outer, words[0])
    assert command is not None, f"{words[0]} is not a command"
    values = command.make_context(words[0], words[1:], parent=group.context_class(group, info_name="senet")).params
    for text in values["se"] if isinstance(values.get("se"), list) else [values.get("se") or "plain"]:
        designs(text)
    settings = list(values.get("words") or ())[words[0] == "eval" :]  # the first word of `eval` is its network
    assert all("=" in word for word in settings), f"settings are NAME=VALUE, not {settings}"
    if command.settings:
        taken(settings, command.callback.settings)


@pytest.mark.parametrize("page", [*PAGES, *RECIPES])
def test_the_commands_of_a_page_exist_with_their_options(page: str) -> None:
    for block in blocks_of(page, "bash"):
        for words in commands(block):
            try:
                parse(words)
            except Exception as error:
                raise AssertionError(f"{block.where}: senet {shlex.join(words)}: {error}") from error


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_uses_names_that_senet_has(page: str) -> None:
    for block in blocks_of(page, "python"):
        for node in ast.walk(ast.parse(block.text, block.where)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "senet":
                assert hasattr(senet, node.attr), f"{block.where}: senet.{node.attr}"


@pytest.mark.parametrize("page", [*PAGES, *RECIPES])
def test_commands_and_names_in_the_text_of_a_page_exist(page: str) -> None:
    prose = re.sub(r"^ *```.*?^ *```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for command in re.findall(r"`senet ([a-z][^`]*)`", prose):
        try:
            parse(shlex.split(command))
        except Exception as error:
            unfinished = ("MissingParameter", "BadOptionUsage")  # `senet fold`, `senet insert --output`
            if type(error).__name__ not in unfinished:
                raise AssertionError(f"{page}: senet {command}: {error}") from error
    for name in re.findall(r"`senet\.(\w+)", prose):
        assert hasattr(senet, name) or find_spec(f"senet.{name}"), f"{page}: senet.{name}"


def test_a_wrong_command_is_found() -> None:
    for words in (["explane"], ["fold", "RUN", "--tolerence", "1"], ["compare", "--se", "standart"], ["fold"]):
        with pytest.raises(Exception, match=r"explane|tolerence|standart|Missing parameter"):
            parse(words)


def write_files_of(page: str) -> None:
    """Write the blocks of a page that begin with a comment that names a file, such as `# net.py`."""
    for block in read_blocks(ROOT / page):
        if name := re.match(r"# (\w+\.(?:py|toml))\n", block.text):
            Path(name[1]).write_text(block.text, encoding="utf-8")


def labels(text: str) -> list[str]:
    """Return what stands before the first number of every line: names of designs, headings, paths."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    labels = [re.split(r"[+-]?\d", line)[0].strip() for line in lines if not set(line) <= set(". ─")]
    return [label for label in labels if label]


def test_the_session_of_the_questions_runs(page: Callable[..., dict[str, Any]]) -> None:
    assert page(FAQ)["model"]


def test_labels_are_what_stands_before_the_numbers() -> None:
    shown = "\n design  params\n ───────\n plain   51,786 1.2 M\n- standard r=4: equal\nwritten: a/b.md\n..."
    assert labels(shown) == ["design params", "plain", "- standard r=", "written: a/b.md"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("unchecked")
def test_the_tour_runs_and_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files_of(TOUR)
    printed = io.StringIO()

    def senet_command(words: list[str]) -> None:
        with contextlib.redirect_stdout(printed):
            run_senet(words)

    run_page(ROOT / TOUR, senet=senet_command)
    print(printed.getvalue())  # pytest shows it where the test fails
    found = iter(labels(printed.getvalue()))
    for block in blocks_of(TOUR, "text"):
        for label in labels(block.text):
            assert any(label == one for one in found), f"{block.where}: {label!r} is not printed there"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("default")  # a training of one epoch on 80 pictures leaves gates where they started
@pytest.mark.parametrize("page", [page for page in PAGES if page not in (TOUR, FAQ)])
def test_the_blocks_of_a_page_run(page: str, rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(rehearsal.folder)
    if not any(block.runs for block in read_blocks(ROOT / page)):
        pytest.skip("it has no code that runs here")
    if page == "docs/insert.md":
        pytest.importorskip("timm")
    run_page(ROOT / page, GIVEN.get(page, dict)(), senet=rehearsal)
