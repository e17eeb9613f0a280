"""`senet insert`: put blocks into a network that exists."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from senet.cli.completion import one_of
from senet.cli.options import OUTPUT, Builder, Design, ImageSize, Json, Network, NumClasses, Weights
from senet.cli.printing import print_json
from senet.errors import StorageError, UsageError
from senet.spec import SLOTS
from senet.text import printable

if TYPE_CHECKING:
    from torch import nn

    from senet.spec import Slot

__all__ = ["insert"]

INSERTION = "Insertion"  # panel of the help


def insert(
    model: Network,
    se: Design = "standard",
    at: Annotated[
        list[str] | None,
        typer.Option(
            "--at", metavar="PATTERN ...", rich_help_panel=INSERTION,
            help="Units or modules, e.g. 'layer3.*'; repeat the option for more. Default: all units.",
        ),
    ] = None,
    slot: Annotated[
        str | None,
        typer.Option(
            "--slot", metavar="NAME", rich_help_panel=INSERTION, autocompletion=one_of(*SLOTS),
            help="standard, pre, post, identity or inner. Default: that of --se.",
        ),
    ] = None,
    reduction: Annotated[
        int | None,
        typer.Option(
            "--reduction", "-r", metavar="N", rich_help_panel=INSERTION,
            help="The ratio of all blocks. Default: that of --se.",
        ),
    ] = None,
    min_channels: Annotated[
        int,
        typer.Option(
            "--min-channels", metavar="N", rich_help_panel=INSERTION, help="Skip maps with fewer channels."
        ),
    ] = 1,
    preserve: Annotated[
        bool,
        typer.Option(
            "--preserve/--no-preserve", rich_help_panel=INSERTION,
            help="Start as the identity: the output of the network stays the same bit for bit.",
        ),
    ] = True,
    weights: Weights = None,
    builder: Builder = None,
    size: ImageSize = None,
    num_classes: NumClasses = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", rich_help_panel=OUTPUT,
            help="Write the network with its blocks to a folder, or its weights to a .safetensors file. Default: "
            "nothing is written.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show where blocks go in a network that exists and what they add; with --output, write the network with them.

    Example: `senet insert resnet50 --weights resnet50.pt -r 8 --output resnet50-se.safetensors`
    """
    from senet.dataflow.example import guesses
    from senet.experiments import decoding
    from senet.files.atomic import ensure_writable, not_ours
    from senet.networks import create, named, side_of
    from senet.reports.console import say, say_written
    from senet.reports.insert_report import insertion_values
    from senet.surgery import insert as insert_blocks
    from senet.surgery.insertion.drawing import insertion_text
    from senet.weights.config import is_described

    designs = decoding.se_designs(se)
    if len(designs) != 1:
        raise UsageError(f"--se {se}: insert takes one design at a time, e.g. --se standard:reduction=8.")
    if output is not None:
        if output.suffix not in ("", ".safetensors"):
            raise UsageError(
                f"--output {output} is not valid; use a folder, or a .safetensors file for the weights alone."
            )
        ensure_writable(output.parent)
        if output.exists() and weights is not None and output.samefile(weights):
            raise StorageError(f"--output {output} would replace the weights that are read; choose another name.")
        if output.suffix and output.exists() and not is_described(output):
            raise not_ours(output)
    spec = designs[0] if reduction is None else designs[0].but(reduction=reduction)
    hint = "--num-classes changes the outputs of the network"
    network = create(model, weights=weights, num_classes=num_classes, builder=builder, hint=hint)
    size = side_of(model) if size is None else size
    shape = None if size is None else (*guesses(network)[0][:2], size, size)
    done = insert_blocks(
        network,
        spec,
        at=at or "auto",
        slot=cast("Slot | None", slot),
        min_channels=min_channels,
        preserve=preserve,
        shape=shape,
    )
    values = insertion_values(model, network, done)
    text = insertion_text(done, title=model, network=(values["network_params"], values["network_macs"]))
    if output is not None:
        _write(network, output, model, builder)
    if as_json:
        print_json(values)
    else:
        print(printable(text))
        if output is not None:
            print()
            say_written([output])
            own = builder if builder is not None else model if named(model).library == "builder" else None
            python, words = (", builder=FUNCTION", f" with --builder {own}") if own is not None else ("", "")
            say(f"- senet.from_pretrained({str(output)!r}{python}) loads it; senet eval, fold and cost take it{words}")
            if weights is None and named(model).library != "folder":
                say("- its weights are untrained; pass --weights FILE to start from trained ones")


def _write(network: "nn.Module", out: Path, name: str, builder: str | None) -> None:
    """Write the network with its blocks."""
    from senet.networks import made_of, save_pretrained
    from senet.networks.pretrained import described_network, write_described

    if out.suffix:
        write_described(out, network, described_network(network, **made_of(name, builder)))
    else:
        save_pretrained(network, out, **made_of(name, builder))
