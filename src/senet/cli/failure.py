"""Errors and warnings of a command as one line each, without control codes, and the exit code."""

import contextlib
import io
import sys

import typer

from senet.errors import SenetError, reason_of
from senet.text import PLAIN, one_line

__all__ = ["error_line", "replace_unencodable", "show_warning"]


def replace_unencodable() -> None:
    """Let the standard streams replace characters that their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):  # closed or detached: nothing is written to it
                stream.reconfigure(errors=PLAIN)


def error_line(error: Exception) -> tuple[str, int]:
    """Return an error as one line, and its exit code; the line is empty if the help was printed instead."""
    if isinstance(error, SenetError):
        said = f"{error}" + "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        return one_line(said), error.exit_code
    if isinstance(error, typer.BadParameter.__base__ or ()):  # typer's UsageError, which has no public name
        asked = getattr(error, "ctx", None)
        said = error.format_message().rstrip(".")  # type: ignore[attr-defined]
        if not said:  # no command was given: the help is printed
            return "", 2
        end = "" if said.endswith("?") else ";"
        return f"{one_line(said)}{end} `{asked.command_path if asked else 'senet'} --help` lists the options.", 2
    if isinstance(error, typer.Abort):
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return (
        f"unexpected {type(error).__name__}: {reason_of(error)}; `senet --debug ...` shows the traceback: please "
        "report it with that and the command.",
        1,
    )


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line; replaces `warnings.showwarning`."""
    print(f"senet: warning: {one_line(' '.join(str(message).split()))}", file=sys.stderr)
