"""How a command fails: one line that says the way out, and an exit code."""

import sys

import typer

from senet.errors import SenetError

__all__ = ["in_one_line", "show_warning"]


def in_one_line(error: Exception) -> tuple[str, int]:
    """Say an error in one line, and give the exit code; nothing is left to say where the help was printed."""
    if isinstance(error, SenetError):
        return f"{error}" + "".join(f" ({note})" for note in getattr(error, "__notes__", ())), error.exit_code
    if isinstance(error, typer.BadParameter.__base__ or ()):  # typer's UsageError, which has no public name
        asked = getattr(error, "ctx", None)
        said = error.format_message().rstrip(".")  # type: ignore[attr-defined]
        if not said:  # no command was given: the help is printed
            return "", 2
        return f"{said}; `{asked.command_path if asked else 'senet'} --help` shows what there is.", 2
    if isinstance(error, typer.Abort):
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    first = (str(error).splitlines() or ["no message"])[0]
    return (
        f"unexpected {type(error).__name__}: {first}; `senet --debug ...` shows the traceback: please report it with "
        "that and the command.",
        1,
    )


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line; takes the place of `warnings.showwarning`."""
    print(f"senet: warning: {message}", file=sys.stderr)
