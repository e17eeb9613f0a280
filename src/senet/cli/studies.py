"""`senet studies`: what there is to repeat and what it costs."""

from pathlib import Path
from typing import Annotated

import typer

from senet.cli.options import Json
from senet.cli.printing import print_json
from senet.text import printable

__all__ = ["studies"]


def studies(
    folder: Annotated[Path, typer.Argument(help="Where the TOML files lie")] = Path("studies"),
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a Markdown table, as docs/studies.md has it")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the studies with what they cost at full and at quick scale."""
    from senet.reports.console import show_records
    from senet.reports.study_list import list_studies, studies_markdown

    rows = list_studies(folder)
    if as_json:
        print_json(rows)
    elif as_markdown:
        print(printable(studies_markdown(rows)), end="")
    else:
        show_records([{name: value for name, value in row.items() if name != "shows"} for row in rows])
