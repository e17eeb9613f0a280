"""`senet models`: list the networks by name, or the kinds of blocks."""

from typing import Annotated

import typer

from senet.cli.options import OUTPUT, Json
from senet.cli.printing import print_json
from senet.errors import no_match
from senet.text import printable

__all__ = ["models"]


def models(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="A pattern with * and ?, e.g. 'resnet*'.")] = "*",
    kinds: Annotated[
        bool, typer.Option("--kinds", help="List the published kinds of channel attention, as designs name them.")
    ] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", rich_help_panel=OUTPUT, help="Print a Markdown table, as in docs/zoo.md.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the networks with their parameters and multiply-adds, plain and with SE (r = 16, biases)."""
    from senet.kinds import KINDS, kind_records
    from senet.reports.console import show
    from senet.reports.zoo_costs import COSTS, matching, titled
    from senet.tables import Table

    records = kind_records(pattern) if kinds else matching(pattern)
    if not records:
        what, names, command = ("kind", KINDS, "senet models --kinds") if kinds else ("network", COSTS, "senet models")
        raise no_match(what, pattern, names, listed_by=command)
    if as_json:
        print_json(records)
        return
    spare = ("note", "parameters", "source") if kinds else ("MMAC with SE", "input", "params with SE", "MMAC")
    table = Table.of_records(records if kinds else titled(records), spare=spare, code=True)
    if as_markdown:
        print(printable(table.markdown()), end="")
    else:
        show(table)
