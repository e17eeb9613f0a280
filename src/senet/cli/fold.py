"""`senet fold`: replace blocks whose gates are nearly constant by these constants."""

import sys
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from senet.cli.given_network import GivenNetwork
from senet.cli.machine import make_setup
from senet.cli.option_groups import unfolded
from senet.cli.options import OUTPUT, Device, Json, Network, Words
from senet.cli.printing import print_json, warn_without_figures
from senet.cli.settings_words import FoldSettings
from senet.text import command_line

if TYPE_CHECKING:
    from senet.known_names import Harms

__all__ = ["fold"]

FOLD = "Fold"  # panel of the help


@unfolded
def fold(
    model: Network,
    words: Words = None,
    *,
    network: GivenNetwork,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance", metavar="POINTS", rich_help_panel=FOLD,
            help="Largest loss of top-1 accuracy [percentage points]; inf for no bound.",
        ),
    ] = 0.5,
    blocks: Annotated[
        int | None,
        typer.Option("--blocks", metavar="N", rich_help_panel=FOLD, help="Remove at most N blocks. Default: no bound."),
    ] = None,
    at: Annotated[
        str,
        typer.Option(
            "--at", metavar="PATTERN", rich_help_panel=FOLD, help="Only blocks with such names, e.g. 'layer4.*'."
        ),
    ] = "*",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=FOLD, help="Measure the whole curve and change nothing.")
    ] = False,
    device: Device = "auto",
    settings: FoldSettings,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", rich_help_panel=OUTPUT, help="The folder of network, table and figure."
        ),
    ] = Path("out/fold"),
    as_json: Json = False,
) -> None:  # fmt: skip
    """Remove SE blocks whose gates hardly depend on the image; their constants go into neighbouring layers.

    Example: `senet fold timm:tf_mobilenetv3_small_100 --weights FILE --data-dir PHOTOS --tolerance 0.5`
    """
    from senet.files.documents import finite
    from senet.reports.console import PassProgress
    from senet.reports.fold_files import write_fold
    from senet.reports.fold_report import show_fold
    from senet.reports.report_folder import ensure_free_for_report
    from senet.surgery import fold as fold_blocks
    from senet.weights.card import refuse_others

    open_network = network.opener(model, words, make_setup(settings, data_dir=network.data_dir, device=device))
    warn_without_figures()
    ensure_free_for_report(output)  # before minutes of measuring, not after
    if not dry_run:
        refuse_others(output)
    opened = open_network(statistics=settings.statistics)
    with PassProgress(quiet=as_json) as passing:
        folded = fold_blocks(
            opened.model,
            opened.statistics,
            test=opened.test,
            tolerance=None if isinf(tolerance) else tolerance,
            sure=not settings.measured,
            blocks=blocks,
            per=cast("Harms", settings.per),
            at=at,
            dry_run=dry_run,
            watch=passing.watch,
        )
    files = write_fold(opened, folded, output, command=command_line(sys.argv[1:]))
    if as_json:
        print_json({"network": opened.title, "files": [str(file) for file in files], **finite(folded.as_dict())})
    else:
        show_fold(folded, opened.title, opened.notes, files, output)
