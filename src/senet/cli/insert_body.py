"""What `senet insert` does and prints: the blocks in a network, as values, as text and as weights on disk."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from senet.costs import cost
from senet.dataflow.example import guesses
from senet.errors import UsageError
from senet.experiments import decoding
from senet.files.atomic import ensure_writable
from senet.networks import save_pretrained, side_of
from senet.networks.loaded import host, made_of, named
from senet.surgery import Insertion, insert
from senet.surgery.insertion.drawing import insertion_text
from senet.weights.writing import write_weights

__all__ = ["insertion_values", "run_insert"]


def run_insert(
    name: str,
    se: str,
    *,
    at: list[str] | None = None,
    slot: str | None = None,
    reduction: int | None = None,
    min_channels: int = 1,
    size: int | None = None,
    weights: Path | None = None,
    num_classes: int | None = None,
    preserve: bool = True,
    out: Path | None = None,
    builder: str | None = None,
) -> tuple[dict[str, Any], str]:
    """Do what `senet insert` is asked for, and give it as values and as text.

    Args:
        name: of the network.
        se: one design as a word.
        at: patterns of units or modules; None stands for all units.
        slot: place in the unit; None stands for the design's.
        reduction: ratio of all blocks; None stands for the design's.
        min_channels: narrower maps get no block.
        size: side of the input [pixels]; None stands for the network's own.
        weights: state dict of the network; None stands for fresh weights.
        num_classes: outputs; None stands for the network's own.
        preserve: whether the blocks start as the identity.
        out: folder for the network with blocks, as `save_pretrained` writes it, or a `.safetensors` file for its state
            dict alone; None writes nothing.
        builder: function that makes the network of a folder.

    Raises:
        UsageError: if the design is not one, or `out` is another kind of file.
    """
    designs = decoding.se_designs(se)
    if len(designs) != 1:
        raise UsageError(f"--se {se}: insert takes one design at a time, e.g. --se standard:reduction=8.")
    if out is not None:
        if out.suffix not in ("", ".safetensors"):
            raise UsageError(f"--out {out}: give a folder, or a name that ends in .safetensors for the weights alone.")
        ensure_writable(out.parent)
    spec = designs[0] if reduction is None else designs[0].but(reduction=reduction)
    hint = "--num-classes changes the outputs of the network"
    model = host(name, weights=weights, num_classes=num_classes, builder=builder, hint=hint)
    size = side_of(name) if size is None else size
    shape = None if size is None else (*_own_shape(model)[:2], size, size)
    done = insert(model, spec, at=at or "auto", slot=slot, min_channels=min_channels, preserve=preserve, shape=shape)
    values = insertion_values(name, model, done)
    text = insertion_text(done, title=name, network=(values["network_params"], values["network_macs"]))
    fresh = ""
    if weights is None and named(name).library != "folder":
        fresh = "; its weights are fresh, not trained: --weights FILE gives the network's own"
    if out is not None and not out.suffix:
        save_pretrained(model, out, **made_of(name, builder))
        text += (
            f"\n\n{out} holds the network: senet.from_pretrained({str(out)!r}), senet eval, fold or cost {out}{fresh}"
        )
    elif out is not None:
        write_weights(out, model.state_dict())
        text += f"\n\n{out} holds {len(model.state_dict())} tensors; it loads after the same insert into {name}{fresh}"
    return values, text


def _own_shape(model: nn.Module) -> tuple[int, ...]:
    return guesses(model)[0]


def insertion_values(name: str, model: nn.Module, done: Insertion) -> dict[str, Any]:
    """Give an insertion as plain values, with what the whole network has and costs with its blocks.

    Args:
        name: what the user called the network.
        model: the network with its blocks.
        done: what was inserted.
    """
    whole = cost(model, shape=done.shape)
    blocks = [{**asdict(block), "spec": str(block.spec)} for block in done]
    return {
        "model": name,
        "shape": done.shape,
        "blocks": blocks,
        "skipped": [asdict(one) for one in done.skipped],
        "params": done.params,
        "macs": done.macs,
        "convolutions": done.convolutions,
        "gated_convolutions": done.gated,
        "network_params": whole.params - done.params,
        "network_macs": whole.macs - done.macs,
    }
