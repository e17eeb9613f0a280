"""`senet studies`: list the studies of papers and what they cost."""

from pathlib import Path
from typing import Annotated

import typer

from senet.cli.options import OUTPUT, Json
from senet.cli.printing import print_json
from senet.cli.study_files import studies_folder
from senet.text import printable

__all__ = ["studies"]


def studies(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A folder of TOML files. Default: studies, or senet's own.")
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", rich_help_panel=OUTPUT, help="Print a Markdown table, as in docs/studies.md.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the studies, with their cost at full and at quick scale."""
    from senet.reports.console import say, show
    from senet.reports.study_list import list_studies, titled

    rows = list_studies(folder or studies_folder())
    if as_json:
        print_json(rows)
    elif as_markdown:
        print(printable(titled(rows).markdown()), end="")
    else:
        show(titled(rows, title=False))
        say("- MACs: multiply-adds of all runs; quick: `senet run STUDY --quick`")
