"""`senet models`: list the networks by name."""

from typing import Annotated

import typer

from senet.cli.options import OUTPUT, Json
from senet.cli.printing import print_json
from senet.errors import SpecError
from senet.text import printable

__all__ = ["models"]


def models(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="A pattern with * and ?, e.g. 'resnet*'.")] = "*",
    as_markdown: Annotated[
        bool, typer.Option("--markdown", rich_help_panel=OUTPUT, help="Print a Markdown table, as in the README.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the networks with their parameters and multiply-adds, plain and with SE (r = 16, biases)."""
    from senet.reports.console import show
    from senet.reports.zoo_costs import matching, titled
    from senet.tables import Table

    records = matching(pattern)
    if not records:
        raise SpecError(f"no network matches {pattern!r}; `senet models` lists all.")
    if as_json:
        print_json(records)
        return
    table = Table.of_records(titled(records), spare=("MMAC with SE", "input", "params with SE", "MMAC"), code=True)
    if as_markdown:
        print(printable(table.markdown()), end="")
    else:
        show(table)
