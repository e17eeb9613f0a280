"""`senet explain`: what the gates of a trained network do, as a table, figures and a page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from senet.cli.given_network import GivenNetwork
from senet.cli.machine import make_setup
from senet.cli.option_groups import unfolded
from senet.cli.options import (
    DATA,
    NETWORK,
    OUTPUT,
    Device,
    Json,
    Network,
    Words,
)
from senet.cli.printing import print_json, warn_without_figures
from senet.cli.settings_words import ExplainSettings
from senet.text import command_line, printable

__all__ = ["explain"]


@unfolded
def explain(
    model: Network,
    words: Words = None,
    *,
    network: GivenNetwork,
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare", metavar="RUN", rich_help_panel=NETWORK,
            help="The folder of a second run or network, explained on the same images.",
        ),
    ] = None,
    by: Annotated[
        Path | None,
        typer.Option(
            "--by", metavar="FILE", rich_help_panel=DATA,
            help="Conditions of the images: CSV with a line for each image, in their order or with a column 'file'.",
        ),
    ] = None,
    device: Device = "auto",
    settings: ExplainSettings,
    classes: Annotated[
        str, typer.Option("--classes", metavar="A,B", rich_help_panel=OUTPUT, help="The classes that the figure shows.")
    ] = "",
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", rich_help_panel=OUTPUT, help="The folder for the report, page and figures."
        ),
    ] = Path("out/explain"),
    as_json: Json = False,
) -> None:  # fmt: skip
    """Measure what the gates of a trained network do: class shares, saturation, dead units, interventions.

    Example: `senet explain runs/0123456789ab`

    Example: `senet explain timm:tf_mobilenetv3_small_100 --weights FILE --data-dir PHOTOS --normalize half`
    """
    from senet.explanation.opened import Asked, described, explain_opened
    from senet.reports.console import PassProgress, say_written
    from senet.reports.report_folder import ensure_free_for_report

    setup = make_setup(settings, data_dir=network.data_dir, device=device)
    open_network = network.opener(model, words, setup)
    warn_without_figures()
    ensure_free_for_report(output)  # before minutes of measuring, not after
    opened = open_network(whole=True)
    asked = Asked(
        split=settings.split, images=settings.images, curve=settings.curve, by=by, compare=compare,
        builder=network.builder,
        classes=tuple(part for part in classes.split(",") if part),
        interventions=tuple(part for part in settings.interventions.split(",") if part),
    )  # fmt: skip
    with PassProgress(quiet=as_json) as passing:
        explanation = explain_opened(opened, asked, watch=passing.watch)
    command = command_line(sys.argv[1:])
    made = described(opened, asked, weights=network.weights, folder=Path(model), device=setup.device, command=command)
    files = explanation.save(output, made=made, classes=asked.classes)
    if as_json:
        values = {**explanation.as_dict(), "files": [str(file) for file in files]}
        del values["images"]  # the thumbnails, which are in explain.json
        print_json(values)
    else:
        print(printable(explanation))
        say_written(files)
