"""`senet export`: write a network as a file for other programs, checked against the network."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from senet.cli.given_network import GivenNetwork
from senet.cli.machine import make_setup
from senet.cli.option_groups import unfolded
from senet.cli.options import OUTPUT, Json, Network, Words
from senet.cli.printing import print_json, warn_without_figures
from senet.cli.settings_words import ExportSettings
from senet.cli.shapes import parse_shape
from senet.errors import NumericError, UsageError
from senet.text import command_line

__all__ = ["export"]

FILE, INT8 = "File", "int8"  # panels of the help


@unfolded
def export(
    model: Network,
    words: Words = None,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FILE", rich_help_panel=OUTPUT,
            help="NAME.onnx, NAME.pt2, a folder (weights, description, card and model.onnx), or hf:OWNER/NAME.",
        ),
    ] = "model.onnx",
    *,
    network: GivenNetwork,
    shape: Annotated[
        str | None,
        typer.Option(
            "--shape", metavar="N,C,H,W", rich_help_panel=FILE,
            help="Shape of the images. Default: that of the data, or of the network.",
        ),
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", rich_help_panel=FILE, help="Accept only batches of the N of --shape.")
    ] = False,
    dynamic_size: Annotated[
        bool, typer.Option("--dynamic-size", rich_help_panel=FILE, help="Accept images of any size.")
    ] = False,
    opset: Annotated[
        int | None,
        typer.Option(
            "--opset", metavar="N", rich_help_panel=FILE,
            help="Version of ONNX's operators. Default: that of torch's exporter.",
        ),
    ] = None,
    fold: Annotated[
        float | None,
        typer.Option(
            "--fold", metavar="POINTS", rich_help_panel=FILE,
            help="Fold blocks first; largest loss of top-1 accuracy [percentage points]. Needs --data-dir.",
        ),
    ] = None,
    optimize: Annotated[
        bool,
        typer.Option("--optimize", rich_help_panel=FILE, help="Export the network that senet.optimize returns."),
    ] = False,
    gate: Annotated[
        str,
        typer.Option(
            "--gate", metavar="NAME", rich_help_panel=FILE,
            help="keep, or hard_sigmoid: a hard sigmoid in place of each block's sigmoid, fitted to its logits, if the "
            "loss is within --max-drop. Needs --data-dir.",
        ),
    ] = "keep",
    pool: Annotated[
        str,
        typer.Option(
            "--pool", metavar="NAME", rich_help_panel=FILE,
            help="Operator of means over the map: mean (ReduceMean), or avgpool (GlobalAveragePool).",
        ),
    ] = "mean",
    licence: Annotated[
        str | None,
        typer.Option(
            "--license", metavar="NAME", rich_help_panel=FILE, help="Licence of the weights, for the card of a folder."
        ),
    ] = None,
    comparison: Annotated[
        Path | None,
        typer.Option(
            "--comparison", metavar="DIR", rich_help_panel=FILE,
            help="The folder written by `senet compare -o`; its report goes into the model card of a folder.",
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option("--int8", rich_help_panel=INT8, help="Quantise, with parts in float as needed. Needs --data-dir."),
    ] = False,
    calibrate: Annotated[
        int,
        typer.Option(
            "--calibrate", metavar="N", rich_help_panel=INT8,
            help="Number of training images for calibrating the ranges.",
        ),
    ] = 512,
    max_drop: Annotated[
        float,
        typer.Option(
            "--max-drop", metavar="POINTS", rich_help_panel=INT8,
            help="Largest loss of top-1 by --int8 or --gate: upper end of its 95 % interval [percentage points].",
        ),
    ] = 0.5,
    settings: ExportSettings,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", rich_help_panel=OUTPUT, help="The folder for the report of --int8."
        ),
    ] = Path("out/export"),
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write a network as ONNX or as a program of torch.export, after comparing the file with the network.

    Example: `senet export runs/0123456789ab --to model.onnx`

    Example: `senet export timm:tf_mobilenetv3_small_100 --weights FILE --data-dir PHOTOS --int8 --max-drop 2`
    """
    from dataclasses import asdict

    from senet.exporting import export as export_network
    from senet.exporting.checked_export import SUFFIXES
    from senet.exporting.folder import export_folder, upload
    from senet.exporting.int8.report import BoundError, Int8
    from senet.files.documents import finite
    from senet.reports.console import PassProgress
    from senet.reports.export_report import show_export
    from senet.reports.int8_report import write_int8
    from senet.reports.report_folder import ensure_free_for_report
    from senet.training.opened_network import Opened, OpenedNetwork
    from senet.training.run_folder import read_result
    from senet.weights.source import HUB

    is_file = not to.startswith(HUB) and (Path(to).suffix in SUFFIXES or "." in Path(to).name)
    if is_file and (licence is not None or comparison is not None):
        raise UsageError("--license and --comparison are for the card of a folder; pass --to FOLDER or hf:OWNER/NAME.")
    opened: Opened
    precision = Int8(calibrate=calibrate, rank=settings.rank, max_drop=max_drop) if int8 else None
    if int8:
        warn_without_figures()
        ensure_free_for_report(output)  # before minutes of measuring, not after
    if network.data is None and network.data_dir is None and not words and not (Path(model) / "run.json").exists():
        if fold is not None or int8 or gate != "keep":
            asked = "--int8" if int8 else f"--gate {gate}" if fold is None else f"--fold {fold:g}"
            raise UsageError(f"{asked} needs images; pass --data-dir DIR, or leave it out.")
        opened = network.open_without_images(model)
    else:
        setup = make_setup(settings, data_dir=network.data_dir, device="cpu")
        statistics = max(settings.statistics, calibrate) if int8 else settings.statistics
        opened = network.opener(model, words, setup)(statistics=statistics)
    seen = opened if isinstance(opened, OpenedNetwork) else None
    images, test = (None, None) if seen is None else (seen.statistics, seen.test)
    with PassProgress(quiet=as_json) as passing:
        options: dict[str, Any] = {
            "shape": None if shape is None else parse_shape(shape), "static": static, "dynamic_size": dynamic_size,
            "opset": opset, "fold": fold, "optimize": optimize, "gate": gate, "max_drop": max_drop, "pool": pool,
            "int8": precision, "images": images, "test": test, "origin": opened.origin,
            "classes": opened.classes if test is not None and test.labelled else None,
            "preprocessing": opened.preprocessing, "watch": passing.watch,
        }  # fmt: skip
        trained = read_result(Path(model)) if (Path(model) / "run.json").exists() else None
        card: dict[str, Any] = {"licence": licence, "comparison": comparison, "result": trained}
        about: dict[str, Any] = {"title": opened.title, "command": command_line(sys.argv[1:])}
        try:
            if to.startswith(HUB):
                exported = upload(to, lambda folder: export_folder(opened.model, folder, **card, **options))
            elif is_file:
                exported = export_network(opened.model, to, **options)
            else:
                exported = export_folder(opened.model, Path(to), **card, **options)
        except BoundError as error:
            write_int8(error.report, output, notes=opened.notes, **about)
            raise NumericError(f"{error} What was measured: {output / 'report.md'}.") from error
    files: list[Path] = []
    if exported.int8 is not None:
        notes = (*exported.notes, *opened.notes)
        about |= {"file": exported.path.name, "latency": exported.latency}
        files = write_int8(exported.int8, output, notes=notes, **about)
    if as_json:
        print_json({"network": opened.title, "files": [str(file) for file in files], **finite(asdict(exported))})
    else:
        show_export(exported, opened.notes, files)
