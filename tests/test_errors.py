"""Errors: one sentence each, an exit code each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senet import errors
from senet.errors import (
    BackendError,
    CheckpointError,
    DataError,
    Interrupted,
    NumericError,
    SenetError,
    SpecError,
    StoppedEarly,
    StorageError,
    UsageError,
    reason_of,
    unknown,
)

NAMES = st.lists(st.text("abcdefgh_", min_size=1, max_size=8), min_size=1, max_size=6, unique=True)


@pytest.mark.parametrize(
    ("kind", "exit_code", "builtin"),
    [
        (SpecError, 2, ValueError),
        (UsageError, 2, Exception),
        (BackendError, 2, Exception),
        (DataError, 3, Exception),
        (CheckpointError, 4, Exception),
        (StorageError, 5, OSError),
        (NumericError, 6, ArithmeticError),
        (Interrupted, 75, Exception),
        (StoppedEarly, 75, Exception),
    ],
)
def test_every_error_has_its_exit_code_and_the_builtin_it_stands_for(
    kind: type[SenetError], exit_code: int, builtin: type[Exception]
) -> None:
    assert kind.exit_code == exit_code
    assert issubclass(kind, SenetError)
    assert issubclass(kind, builtin)
    with pytest.raises(builtin, match="a sentence"):
        raise kind("a sentence")


def test_all_errors_are_listed_and_covered_here() -> None:
    kinds = {
        name for name in errors.__all__ if name not in ("no_match", "not_installed", "reason_of", "shown", "unknown")
    }
    ours = [kind for kind in SenetError.__subclasses__() if kind.__module__ == errors.__name__]
    assert kinds == {"SenetError", *(kind.__name__ for kind in ours)}
    assert len(ours) == 9


def test_unknown_names_the_place_the_value_what_is_allowed_and_the_nearest_name() -> None:
    error = unknown("se[0].gate", "sigmod", ("tanh", "sigmoid", "relu"))
    assert isinstance(error, SpecError)
    assert (
        str(error) == "se[0].gate = 'sigmod' is not known; choose one of: relu, sigmoid, tanh. Did you mean 'sigmoid'?"
    )


def test_unknown_suggests_nothing_when_nothing_is_near() -> None:
    assert str(unknown("gate", "xyz", ("relu", "tanh"))) == "gate = 'xyz' is not known; choose one of: relu, tanh."


def test_unknown_makes_the_error_that_is_asked_for() -> None:
    error = unknown("origin", "tim", ("timm",), error=CheckpointError)
    assert isinstance(error, CheckpointError)
    assert "Did you mean 'timm'?" in str(error)


@given(known=NAMES, value=st.one_of(st.text(), st.integers(), st.none(), st.booleans(), st.floats()))
def test_unknown_is_one_line_that_lists_all_names_in_order(known: list[str], value: object) -> None:
    sentence = str(unknown("place", value, known))
    assert len(sentence.splitlines()) == 1
    assert f"place = {errors.shown(value)} is not known; choose one of: {', '.join(sorted(known))}." in sentence


@given(known=NAMES)
def test_unknown_suggests_a_name_that_exists(known: list[str]) -> None:
    sentence = str(unknown("place", known[0] + "x", known))
    if "Did you mean" in sentence:
        assert sentence.rpartition("Did you mean ")[2].strip("'?") in known


@pytest.mark.parametrize("kind", [SpecError, StorageError, NumericError])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("red \x1b[31m", r"red \x1b[31m"),
        ("two\nlines", r"two\nlines"),
        ("\u202ereversed \x85", r"\u202ereversed \x85"),
        ("half \udcff", r"half \udcff"),
        ("Größe, 日本", "Größe, 日本"),
    ],
    ids=ascii,  # a half of a character cannot be told to another process
)
def test_a_text_that_quotes_a_file_of_others_is_one_line_without_control_codes(
    kind: type[SenetError], text: str, said: str
) -> None:
    assert str(kind(text)) == said
    assert f"{kind(text)}" == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError(), "RuntimeError"),
        (RuntimeError("\n\n first.\nsecond"), "first"),
        (RuntimeError("x" * 1000), "x" * 300),
        (DataError("y" * 300 + "."), "y" * 300),
        (OSError("red \x1b[31m"), r"red \x1b[31m"),
    ],
)
def test_the_reason_is_the_first_line_of_an_error(error: Exception, said: str) -> None:
    assert reason_of(error) == said


def test_a_whole_reason_joins_all_lines_of_an_error() -> None:
    assert reason_of(RuntimeError("first\n  second.\n"), whole=True) == "first second"
    assert reason_of(RuntimeError("\n"), whole=True) == "RuntimeError"
