"""What `senet insert` prints: a drawing of the stages, a table of the blocks, what they add, what was left out."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from senet import decode
from senet.costs import cost
from senet.errors import CheckpointError, UsageError
from senet.files.atomic import ensure_writable, write_bytes
from senet.lab.hosts import host, named
from senet.networks import origin_of, save_pretrained, side_of
from senet.surgery import Insertion, insert
from senet.surgery.shape import guesses

__all__ = ["insertion_text", "insertion_values", "run_insert"]


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

    Raises:
        UsageError: if the design is not one, or `out` is another kind of file.
    """
    designs = decode.se_designs(se)
    if len(designs) != 1:
        raise UsageError(f"--se {se}: insert takes one design at a time, e.g. --se standard:reduction=8.")
    if out is not None:
        if out.suffix not in ("", ".safetensors"):
            raise UsageError(f"--out {out}: give a folder, or a name that ends in .safetensors for the weights alone.")
        ensure_writable(out.parent)
    spec = designs[0] if reduction is None else designs[0].but(reduction=reduction)
    try:
        model = host(name, weights=weights, num_classes=num_classes)
    except CheckpointError as error:
        error.add_note("--num-classes changes the outputs of the network")
        raise
    size = side_of(name) if size is None else size
    shape = None if size is None else (*_own_shape(model)[:2], size, size)
    done = insert(model, spec, at=at or "auto", slot=slot, min_channels=min_channels, preserve=preserve, shape=shape)
    values = insertion_values(name, model, done)
    text = insertion_text(values)
    fresh = ""
    if weights is None and named(name).library != "folder":
        fresh = "; its weights are fresh, not trained: --weights FILE gives the network's own"
    if out is not None and not out.suffix:
        save_pretrained(model, out, **origin_of(name))
        text += (
            f"\n\n{out} holds the network: senet.from_pretrained({str(out)!r}), senet eval, fold or cost {out}{fresh}"
        )
    elif out is not None:
        state = {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in model.state_dict().items()
        }
        write_bytes(out, save(state, metadata={"format": "pt"}))
        text += f"\n\n{out} holds {len(state)} tensors; it loads after the same insert into {name}{fresh}"
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
        "network_params": whole.params - done.params,
        "network_macs": whole.macs - done.macs,
    }


def insertion_text(values: Mapping[str, Any]) -> str:
    """Write an insertion for the terminal."""
    blocks, skipped = values["blocks"], values["skipped"]
    size = "x".join(map(str, values["shape"][2:]))
    lines = [f"{values['model']}, input {size}: {len(blocks)} blocks", ""]
    if blocks:
        lines += [*_drawing(blocks), "", *_table(blocks), "", *_totals(values)]
    if skipped:
        lines += ["", "left out"]
        reasons: dict[str, list[str]] = {}
        for one in skipped:
            reasons.setdefault(one["reason"].partition(":")[0], []).append(one["name"] or "the network itself")
        for reason, names in reasons.items():
            lines.append(f"  {len(names)} x {reason}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")
    return "\n".join(lines)


def _drawing(blocks: list[dict[str, Any]]) -> list[str]:
    """Draw one line a stage, one mark a block: the network from its input (top) to its output."""
    stages: dict[int, list[dict[str, Any]]] = {}
    for block in blocks:
        stages.setdefault(block["stage"], []).append(block)
    lines = []
    for stage, members in sorted(stages.items()):
        size = "x".join(map(str, members[0]["resolution"]))
        widths = list(dict.fromkeys(str(block["channels"]) for block in members))
        channels = widths[0] if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
        lines.append(f"stage {stage:<3}{size:>10}  ─{'■─' * len(members)}  {channels} channels")
    return lines


def _table(blocks: list[dict[str, Any]]) -> list[str]:
    long = max(5, *(len(block["name"]) for block in blocks))
    wide = max(6, *(len("-".join(map(str, block["widths"]))) for block in blocks))
    lines = [f"{'block':{long}}  {'slot':>8}  {'stage':>5}  {'map':>9}  {'widths':>{wide}}  {'params':>9}  {'MAC':>11}"]
    for block in blocks:
        size = "x".join(map(str, block["resolution"]))
        widths = "-".join(map(str, block["widths"]))
        lines.append(
            f"{block['name']:{long}}  {block['slot']:>8}  {block['stage']:>5}  {size:>9}  {widths:>{wide}}  "
            f"{block['params']:>9,}  {block['macs']:>11,}"
        )
    return lines


def _totals(values: Mapping[str, Any]) -> list[str]:
    lines = []
    for label, key in (("parameters", "params"), ("multiply-adds", "macs")):
        added, before = values[key], values[f"network_{key}"]
        percent = f" (+{100 * added / before:.2f} %)" if before else ""
        lines.append(f"{label:14}{before:>16,}  + {added:,}{percent}")
    return lines
