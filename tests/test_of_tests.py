"""Tests use what is public, so that a refactoring breaks no test, and lie where the code that they test lies.

Ruff's SLF001 checks attributes, this file imports and names in strings.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "senet"
ELSEWHERE = {"examples", "gpu", "recipes", "support"}  # tests of what lies outside src, and what tests share
BY_NAME = {"setattr", "getattr", "hasattr", "delattr", "attrgetter", "patch"}  # take a name as a string


def is_private(dotted: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in dotted.split("."))


def private_names(text: str) -> Iterator[str]:
    """Yield private names of senet that are imported, and names of any attribute in strings."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("senet"):
            yield from (alias.name for alias in node.names if is_private(f"{node.module}.{alias.name}"))
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("senet") and is_private(a.name))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in BY_NAME:
            words = (word.value for word in node.args if isinstance(word, ast.Constant))
            yield from (word for word in words if isinstance(word, str) and is_private(word))


def test_no_test_reaches_into_private_members() -> None:
    found = {str(file.relative_to(TESTS)): [*private_names(file.read_text("utf-8"))] for file in TESTS.rglob("*.py")}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "text",
    [
        "from senet.search.supernet import _id",
        "from senet._inner import name",
        "import senet._inner",
        "monkeypatch.setattr(module, '_read', None)",
        "monkeypatch.setattr('senet.module._read', None)",
        "getattr(thing, '_name')",
    ],
)
def test_the_guard_of_private_members_bites(text: str) -> None:
    assert list(private_names(text))


def test_every_folder_of_tests_is_a_room_of_senet() -> None:
    rooms = {file.parent.name for file in SOURCE.glob("*/__init__.py")}
    folders = {file.relative_to(TESTS).parts[:-1] for file in TESTS.rglob("*.py")}
    assert {folder[0] for folder in folders if folder} - ELSEWHERE <= rooms
    names = [file.name for file in TESTS.rglob("test_*.py")]
    assert len(names) == len(set(names)), "pytest and readers tell files of tests by their names"
