"""A module for each command. Torch is imported where a command needs it, never for `--help`."""

import sys
import warnings
from typing import Annotated

import typer

from senet.cli import (
    bench,
    compare,
    cost,
    evaluate,
    fold,
    insert,
    models,
    report,
    run,
    runs,
    search,
    status,
    studies,
    train,
)
from senet.cli.failure import in_one_line, show_warning, write_in_letters_there_are
from senet.errors import UsageError
from senet.text import one_line

__all__ = ["app", "call"]

app = typer.Typer(
    help="Does channel attention pay off in your network - which kind, where, at what ratio, at what cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# in the order of `senet --help`
app.command("compare")(compare.compare)
app.command("run")(run.run)
app.command("report")(report.report)
app.command("status")(status.status)
app.command("runs")(runs.runs)
app.command("studies")(studies.studies)
app.command("search")(search.search)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("fold")(fold.fold)
app.command("models")(models.models)
app.command("cost")(cost.cost)
app.command("bench")(bench.bench)
app.command("insert")(insert.insert)

_debug = False


def _version(asked: bool | None) -> None:
    if asked:
        from senet.version import __version__

        print(one_line(f"senet {__version__}"))
        raise typer.Exit


@app.callback()
def settings(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks")] = False,
    version: Annotated[
        bool | None, typer.Option("--version", help="Print the version and leave", callback=_version, is_eager=True)
    ] = None,
) -> None:
    """Hold what all commands share."""
    global _debug
    _debug = debug


def _refuse_several_designs(words: list[str]) -> None:
    """Refuse a second `--se` where one design is taken: typer would keep the last one in silence."""
    command = next((word for word in words if not word.startswith("-")), "")
    given = sum(word == "--se" or word.startswith("--se=") for word in words)
    if given > 1 and command != "compare":
        raise UsageError(
            f"--se is given {given} times, and {command} takes one design; `senet compare` compares several, and one "
            "network has several as --se A+B, e.g. --se standard+standard:slot=pre."
        )


def call() -> int:
    """Run the command that was typed and return its exit code; every error that a user can mend is one line."""
    global _debug
    _debug, warnings.showwarning = False, show_warning
    write_in_letters_there_are()
    try:
        _refuse_several_designs(sys.argv[1:])
        code: int = app(standalone_mode=False) or 0  # else typer frames its errors and calls an EOFError "Aborted."
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        return code
    except Exception as error:
        if isinstance(error, typer.Abort) and isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if _debug:
            raise
        sentence, code = in_one_line(error)
        if sentence:
            print(one_line(f"senet: {sentence}"), file=sys.stderr)
        return code
