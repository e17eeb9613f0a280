"""`senet insert`: blocks in a network that exists."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from senet.cli.options import Builder, ImageSize, Json, NumClasses
from senet.cli.printing import print_json
from senet.errors import UsageError
from senet.text import printable

if TYPE_CHECKING:
    from torch import nn

__all__ = ["insert"]


def insert(
    model: Annotated[
        str, typer.Argument(help="A name of `senet models`, of timm or of torchvision, or a folder of a network or run")
    ],
    se: Annotated[
        str, typer.Option("--se", help="A design, e.g. standard:reduction=8; 16-8-4-4 is a ratio for each stage")
    ] = "standard",
    at: Annotated[list[str] | None, typer.Option("--at", help="Units or modules, repeatable: 'layer3.*'")] = None,
    slot: Annotated[str | None, typer.Option("--slot", help="standard, pre, post, identity or inner")] = None,
    reduction: Annotated[int | None, typer.Option("--reduction", "-r", help="Ratio of all blocks")] = None,
    min_channels: Annotated[int, typer.Option("--min-channels", help="Leave narrower maps alone")] = 1,
    size: ImageSize = None,
    weights: Annotated[Path | None, typer.Option("--weights", help="The network's state dict")] = None,
    num_classes: NumClasses = None,
    preserve: Annotated[
        bool, typer.Option("--preserve/--no-preserve", help="Start as the identity: the output stays bit for bit")
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the network with blocks: a folder, or .safetensors")
    ] = None,
    builder: Builder = None,
    as_json: Json = False,
) -> None:
    """Show where blocks go in a network that exists and what they add; with --out write its weights with them.

    Example: `senet insert resnet50 --weights resnet50.pt -r 8 --out resnet50-se.safetensors`
    """
    from senet.dataflow.example import guesses
    from senet.experiments import decoding
    from senet.files.atomic import ensure_writable
    from senet.networks import side_of
    from senet.networks.loaded import host, named
    from senet.reports.insert_report import insertion_values
    from senet.surgery import insert as insert_blocks
    from senet.surgery.insertion.drawing import insertion_text

    designs = decoding.se_designs(se)
    if len(designs) != 1:
        raise UsageError(f"--se {se}: insert takes one design at a time, e.g. --se standard:reduction=8.")
    if out is not None:
        if out.suffix not in ("", ".safetensors"):
            raise UsageError(
                f"--output {out} is not valid; use a folder, or a .safetensors file for the weights alone."
            )
        ensure_writable(out.parent)
    spec = designs[0] if reduction is None else designs[0].but(reduction=reduction)
    hint = "--num-classes changes the outputs of the network"
    network = host(model, weights=weights, num_classes=num_classes, builder=builder, hint=hint)
    size = side_of(model) if size is None else size
    shape = None if size is None else (*guesses(network)[0][:2], size, size)
    done = insert_blocks(
        network, spec, at=at or "auto", slot=slot, min_channels=min_channels, preserve=preserve, shape=shape
    )
    values = insertion_values(model, network, done)
    text = insertion_text(done, title=model, network=(values["network_params"], values["network_macs"]))
    if out is not None:
        fresh = weights is None and named(model).library != "folder"
        text += "\n\n" + _write(network, out, model, builder, fresh=fresh)
    if as_json:
        print_json(values)
    else:
        print(printable(text))


def _write(network: "nn.Module", out: Path, name: str, builder: str | None, *, fresh: bool) -> str:
    """Write the network with its blocks, or its weights alone, and return a sentence on how to load it."""
    from senet.networks import save_pretrained
    from senet.networks.loaded import made_of
    from senet.weights.writing import write_weights

    note = "; its weights are not trained: --weights FILE loads the network's own" if fresh else ""
    if out.suffix:
        write_weights(out, network.state_dict())
        return f"{out} holds {len(network.state_dict())} tensors; load it after the same insert into {name}{note}"
    save_pretrained(network, out, **made_of(name, builder))
    return f"{out} holds the network: senet.from_pretrained({str(out)!r}), senet eval, fold or cost {out}{note}"
