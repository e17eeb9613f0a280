"""All commands. Torch is imported where a command needs it, never for `--help`."""

import sys
import warnings
from collections.abc import Callable
from typing import Annotated

import typer

from senet.cli import (
    bench,
    compare,
    cost,
    evaluate,
    explain,
    export,
    fold,
    insert,
    models,
    report,
    run,
    runs,
    search,
    setting_list,
    status,
    studies,
    train,
)
from senet.cli.command import Command, Group
from senet.cli.failure import error_line, replace_unencodable, show_warning
from senet.text import one_line

__all__ = ["app", "call"]

app = typer.Typer(
    cls=Group,
    help="Does channel attention pay off in your network - which kind, where, at what ratio, at what cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`senet COMMAND --help` shows examples, options, settings, and how to write a design. README.md and docs/ "
    "have the pages.",
)

COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Compare and train": {
        "compare": compare.compare,
        "train": train.train,
        "search": search.search,
        "run": run.run,
        "report": report.report,
    },
    "Existing networks": {
        "insert": insert.insert,
        "explain": explain.explain,
        "fold": fold.fold,
        "export": export.export,
        "eval": evaluate.evaluate,
        "bench": bench.bench,
        "cost": cost.cost,
    },
    "Look up": {
        "models": models.models,
        "settings": setting_list.settings,
        "studies": studies.studies,
        "status": status.status,
        "runs": runs.runs,
    },
}
"""The commands in the order of `senet --help`, by panel."""

for panel, commands in COMMANDS.items():
    for name, function in commands.items():
        app.command(name, cls=Command, rich_help_panel=panel)(function)

_debug = False


def _version(asked: bool | None) -> None:
    if asked:
        from senet.version import __version__

        print(one_line(f"senet {__version__}"))
        raise typer.Exit


@app.callback()
def settings(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool | None, typer.Option("--version", "-V", help="Print the version.", callback=_version, is_eager=True)
    ] = None,
) -> None:
    """Options of all commands."""
    global _debug
    _debug = debug


def call() -> int:
    """Run the command and return its exit code; every error that a user can correct is one line."""
    global _debug
    _debug, warnings.showwarning = False, show_warning
    replace_unencodable()
    try:
        code: int = app(standalone_mode=False) or 0  # else typer frames its errors and calls an EOFError "Aborted."
        if code == 130:  # typer's code for Ctrl-C
            raise KeyboardInterrupt
        return code
    except Exception as error:
        if isinstance(error, typer.Abort) and isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if _debug:
            raise
        sentence, code = error_line(error)
        if sentence:
            print(one_line(f"senet: {sentence}"), file=sys.stderr)
        return code
