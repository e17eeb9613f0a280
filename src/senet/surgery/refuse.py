"""What an insertion refuses, in one sentence each, before anything changes."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import nn

from senet.errors import SpecError
from senet.spec import SESpec
from senet.surgery.flow import Flow, Op
from senet.surgery.places import Place
from senet.surgery.units import ATTENTION, TOKENS, Skipped, Unit

__all__ = ["check_ratios", "check_stages", "refuse_if_nowhere", "refuse_without_maps", "refuse_wrapped"]

WRAPPERS = ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel", "OptimizedModule")


def refuse_wrapped(model: nn.Module) -> None:
    """Refuse what wraps a network: blocks belong into the network itself, before it is wrapped.

    Raises:
        SpecError: if the model is a wrapper, or compiled code.
    """
    title = type(model).__name__
    if title in WRAPPERS:
        inner = "_orig_mod" if title == "OptimizedModule" else "module"
        raise SpecError(f"model is a {title}; work on model.{inner}, and wrap it afterwards.")
    if isinstance(model, torch.jit.ScriptModule):
        raise SpecError(f"model is a {title}, which takes no new modules; give the network it was made from.")


def refuse_without_maps(model: nn.Module, flow: Flow, units: list[Unit], skipped: list[Skipped]) -> None:
    """Refuse networks that are no convolutional ones."""
    title = type(model).__name__
    if not any(op.kind == "convolution" for op in flow.ops):
        raise SpecError(f"{title} has no channel maps: no convolution runs in it; give a convolutional network.")
    mixing = any(one.reason in (ATTENTION, TOKENS) for one in skipped)
    residual = any(unit.kind == "residual" for unit in units)
    looks_around = any(max(op.kernel, default=1) > 1 and _keeps_size(op) for op in flow.ops)
    if (mixing and not residual) or (residual and not looks_around):
        raise SpecError(
            f"{title} is a transformer or a mixer: its residual branches hold no spatial convolutions; "
            "squeeze-and-excitation is for convolutional networks."
        )


def _keeps_size(op: Op) -> bool:
    """Tell a convolution that mixes positions from one that cuts patches or strides."""
    return all(3 * after > 2 * before for after, before in zip(op.output.sizes, op.inputs[0].sizes, strict=True))


def refuse_if_nowhere(model: nn.Module, spec: SESpec, places: list[Place | str]) -> None:
    """Refuse a slot that no unit has."""
    reasons = list(dict.fromkeys(place for place in places if isinstance(place, str)))
    if reasons and not any(isinstance(place, Place) for place in places):
        raise SpecError(
            f"slot = {spec.slot!r} exists in no unit of {type(model).__name__}: {'; '.join(reasons)}; choose another "
            f"slot, or give at=NAMES of modules to gate."
        )


def check_ratios(ratios: Mapping[str, int] | None, names: list[str]) -> None:
    """Refuse ratios for units that are not there."""
    for pattern in ratios or {}:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SpecError(f"ratios = {pattern!r} matches no unit; names look like: {', '.join(names[:3])}.")


def check_stages(model: nn.Module, spec: SESpec, stages: list[tuple[int, ...]]) -> None:
    """Refuse stages and ratios that the network has no stages for."""
    title, number = type(model).__name__, len(stages)
    sizes = ", ".join("x".join(map(str, size)) for size in stages)
    if isinstance(spec.reduction, tuple) and len(spec.reduction) != number:
        raise SpecError(
            f"reduction = {spec.reduction} names {len(spec.reduction)} stages, {title} has {number} (maps of {sizes}); "
            f"give one ratio, or {number}."
        )
    if spec.stages and max(spec.stages) > number:
        raise SpecError(
            f"stages = {spec.stages} goes past the {number} stages of {title} (maps of {sizes}); stages count from 1."
        )
