"""The errors senet raises on purpose, and the sentence that names an unknown thing.

Every message has three parts: the place and the value, what is allowed, what to do. Any other exception is a bug. Each
class has the exit code of the command line.
"""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
from itertools import islice, takewhile

from senet.text import one_line

__all__ = [
    "BackendError",
    "CheckpointError",
    "DataError",
    "Interrupted",
    "NumericError",
    "SenetError",
    "SpecError",
    "StoppedEarly",
    "StorageError",
    "UsageError",
    "no_match",
    "not_installed",
    "reason_of",
    "shown",
    "unknown",
]


class SenetError(Exception):
    """Base of every error that a user can correct; `exit_code` is what the command line returns.

    Its text is one line without control codes, also where it quotes a file.
    """

    exit_code = 1

    def __str__(self) -> str:
        """Return the text, with invisible characters escaped."""
        return one_line(super().__str__())


class SpecError(SenetError, ValueError):
    """A value, a name or a shape that does not fit: a spec, a study, a network, a setting."""

    exit_code = 2


class UsageError(SenetError):
    """A command or a setup that cannot work as asked: a missing extra, a flag that contradicts another."""

    exit_code = 2


class BackendError(SenetError):
    """A compiled or hand-written backend that this machine cannot run."""

    exit_code = 2


class DataError(SenetError):
    """Images or labels that are missing, damaged or different from what was declared."""

    exit_code = 3


class CheckpointError(SenetError):
    """Weights or a checkpoint that is missing, damaged, hostile or made for another network or run."""

    exit_code = 4


class StorageError(SenetError, OSError):
    """A folder or disk that cannot be read or written."""

    exit_code = 5


class NumericError(SenetError, ArithmeticError):
    """A loss or a weight that is no longer a finite number."""

    exit_code = 6


class Interrupted(SenetError):  # noqa: N818 (not an error: the run can be resumed)
    """A run that was stopped, saved its state and can be resumed by the same command."""

    exit_code = 75


class StoppedEarly(SenetError):  # noqa: N818 (not an error: the search continues)
    """A training that the rule of a search stopped; its state is saved, and without the rule it resumes."""

    exit_code = 75


def not_installed(purpose: str, package: str, *, extra: str, install: str = "") -> UsageError:
    """Return the error for an optional package that is not installed, with the commands that install it.

    Args:
        purpose: what needs the package, e.g. `a figure`.
        package: common name of the package.
        extra: extra of senet that installs it.
        install: name for pip, if it differs.

    Example:
        >>> print(not_installed("a figure", "matplotlib", extra="plot"))
        a figure needs matplotlib; run: pip install matplotlib, or pip install 'senet[plot]'.
    """
    return UsageError(
        f"{purpose} needs {package}; run: pip install {install or package}, or pip install 'senet[{extra}]'."
    )


LONG = 12  # most names that a sentence lists
LONGEST = 80  # most characters of a value that a sentence shows
QUOTED = 300  # most characters of an error of other code that a sentence quotes


def reason_of(error: BaseException, *, whole: bool = False) -> str:
    """Return the first line of an error, without its full stop, as a part of a sentence.

    Args:
        error: of senet, whose text is kept, or of other code, whose text is cut after 300 characters.
        whole: whether to join all lines instead.

    Example:
        >>> reason_of(ValueError(" not a number. ")), reason_of(KeyError())
        ('not a number', 'KeyError')
    """
    lines = str(error).split() if whole else str(error).strip().splitlines()[:1]
    line = one_line(" ".join(lines))
    return (line if isinstance(error, SenetError) else line[:QUOTED]).rstrip(". ") or type(error).__name__


def shown(value: object) -> str:
    """Return a value as Python writes it, on one line and at most 80 characters long; of a tensor the shape alone.

    Example:
        >>> shown("x" * 1000)[-6:], len(shown("x" * 1000))
        ('xxx...', 80)
        >>> shown({"image": memoryview(b"abc")})
        "{'image': a memoryview of 3}"
    """
    try:
        text = " ".join(_written(value).split("\n"))
    except (ValueError, RecursionError):  # an integer of more than 4,300 digits; a value that is nested too deeply
        return f"<{type(value).__name__} too long to show>"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _written(value: object) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and not isinstance(value, type):  # a tensor or an array
        return f"a {type(value).__name__} of {'x'.join(map(str, shape))}"
    if isinstance(value, dict) and type(value) is dict:
        return f"{{{', '.join(f'{key!r}: {_written(one)}' for key, one in islice(value.items(), LONGEST))}}}"
    if isinstance(value, list | tuple) and any(getattr(one, "shape", ()) for one in islice(value, LONGEST)):
        return f"[{', '.join(map(_written, islice(value, LONGEST)))}]"
    return repr(value)


def unknown(
    place: str, value: object, known: Iterable[str], *, listed_by: str = "", error: type[SenetError] = SpecError
) -> SenetError:
    """Return the error for a name that is not in a table, with the nearest name that is.

    Args:
        place: dotted place of the value, e.g. `se[0].gate`.
        value: the unknown name.
        known: the names that are allowed.
        listed_by: command that lists them, named instead of more than 12 names.
        error: class of the error.

    Example:
        >>> print(unknown("gate", "sigmod", ("relu", "sigmoid")))
        gate = 'sigmod' is not known; choose one of: relu, sigmoid. Did you mean 'sigmoid'?
    """
    names = sorted(known)
    close = _nearest(str(value), names)
    hint = f" Did you mean {close!r}?" if close else ""
    if listed_by and len(names) > LONG:
        return error(f"{place} = {shown(value)} is not known.{hint} `{listed_by}` lists all {len(names)}.")
    return error(f"{place} = {shown(value)} is not known; choose one of: {', '.join(names)}.{hint}")


def _nearest(text: str, names: Sequence[str]) -> str:
    """Return the name that is most like a text, whatever the case; empty if none is close."""
    given = text[:LONGEST].lower()

    def nearness(name: str) -> tuple[float, int]:
        same_start = takewhile(lambda pair: pair[0] == pair[1], zip(given, name.lower(), strict=False))
        return SequenceMatcher(None, given, name.lower()).ratio(), len(list(same_start))

    lower = get_close_matches(given, {name.lower() for name in names}, n=8)
    return max((name for name in names if name.lower() in lower), key=nearness, default="")


def no_match(what: str, pattern: str, names: Iterable[str], *, listed_by: str) -> SenetError:
    """Return the error for a pattern that matches nothing, with one that does where there is one.

    Args:
        what: what has the names, e.g. `setting`.
        pattern: the pattern, with `*` and `?`.
        names: names that it was matched against.
        listed_by: command that lists them.

    Example:
        >>> print(no_match("setting", "optim", ("optim.lr", "seed"), listed_by="senet settings"))
        no setting matches 'optim'. Did you mean 'optim.*'? `senet settings` lists all.
    """
    known, part = sorted(names), pattern.strip("*?.")
    if part and any(name.startswith(f"{part}.") for name in known):
        near = f"{part}.*"
    elif part and any(part in name for name in known):
        near = f"*{part}*"
    else:
        near = _nearest(pattern, known)
    hint = f" Did you mean {near!r}?" if near else ""
    return SpecError(f"no {what} matches {shown(pattern)}.{hint} `{listed_by}` lists all.")
