"""A dataclass of options is spread over the command line and comes to the command whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from senet.cli.option_groups import unfolded


@dataclass(frozen=True, kw_only=True)
class Place:
    root: Annotated[Path | None, typer.Option("--root", help="Where")] = None
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="How many")] = 3


@dataclass(frozen=True, kw_only=True)
class Places(Place):
    names: Annotated[list[str] | None, typer.Option("--name")] = None


app = typer.Typer()


@app.command()
@unfolded
def show(what: str, *, place: Places, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
    """Show it."""
    print(what, place, loud)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["a"], f"a {Places()} False"),
        (["a", "-j", "5", "--loud"], f"a {Places(jobs=5)} True"),
        (["a", "--root", "x", "--name", "b", "--name", "c"], f"a {Places(root=Path('x'), names=['b', 'c'])} False"),
    ],
)
def test_options_of_a_bundle_come_whole(words: list[str], wanted: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.output.strip() == wanted


@pytest.mark.parametrize("words", [["a", "-j", "many"], ["a", "--place", "x"], []])
def test_what_a_bundle_does_not_hold_is_a_wrong_use(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


def test_help_shows_the_options_of_a_bundle_and_the_words_of_the_command() -> None:
    said = CliRunner().invoke(app, ["--help"]).output
    assert "Show it." in said
    assert all(name in said for name in ("--root", "--jobs", "--name", "--loud", "How many"))
    assert "--place" not in said
