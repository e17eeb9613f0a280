"""`senet cost`: count parameters and multiply-adds."""

from typing import Annotated

import typer

from senet.cli.options import NETWORK, OUTPUT, Builder, Design, ImageSize, Json, Network, NumClasses
from senet.cli.printing import print_json
from senet.text import printable

__all__ = ["cost"]


def cost(
    model: Network,
    se: Design = "standard",
    size: ImageSize = None,
    in_chans: Annotated[
        int, typer.Option("--in-chans", metavar="N", rich_help_panel=NETWORK, help="Channels of the input.")
    ] = 3,
    num_classes: NumClasses = None,
    builder: Builder = None,
    blocks: Annotated[bool, typer.Option("--blocks", rich_help_panel=OUTPUT, help="List every block.")] = False,
    as_json: Json = False,
) -> None:
    """Count parameters and multiply-adds of a network, and what its SE blocks add."""
    from senet.experiments import decoding
    from senet.networks.count import count_design
    from senet.reports.cost_report import cost_text, cost_values

    designs = decoding.se_designs(se)
    counted = count_design(model, designs, size=size, in_chans=in_chans, num_classes=num_classes, builder=builder)
    if as_json:
        print_json(cost_values(counted))
    else:
        print(printable(cost_text(counted, blocks=blocks)))
