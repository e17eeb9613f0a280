"""Check, before anything changes, that an insertion is possible."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import nn

from senet.dataflow.flow import Flow, Op
from senet.dataflow.units import ATTENTION, TOKENS, Skipped, Unit
from senet.errors import SpecError
from senet.spec import SESpec
from senet.surgery.insertion.places import Place

__all__ = ["check_ratios", "check_stages", "refuse_if_nowhere", "refuse_without_maps", "refuse_wrapped", "see_changes"]

WRAPPERS = {
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "FullyShardedDataParallel": "module",
    "FSDPModule": "",  # a class that fully_shard mixes in
    "OptimizedModule": "_orig_mod",
}
"""Classes that wrap a network or a part of one, and the attribute that holds the wrapped module."""

QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")


def refuse_wrapped(model: nn.Module) -> None:
    """Refuse networks whose modules can no longer be changed, or that would not run new hooks.

    Compiled code ignores hooks that are registered after its first call, and so do scripted and quantized modules;
    wrappers for several devices keep their own list of the parameters.

    Raises:
        SpecError: if the model or a part of it is wrapped, compiled, scripted or quantized.
    """
    for name, module in model.named_modules():
        place, title = f"model.{name}" if name else "model", type(module).__name__
        kinds = {kind.__name__ for kind in type(module).__mro__}
        wrapper = next((kind for kind in WRAPPERS if kind in kinds), None)
        if wrapper is not None and not WRAPPERS[wrapper]:
            raise SpecError(f"{place} is sharded over devices; work on the network before fully_shard.")
        if wrapper is not None and not name:
            raise SpecError(f"model is a {title}; work on model.{WRAPPERS[wrapper]}, and wrap it afterwards.")
        if wrapper is not None:
            raise SpecError(
                f"{place} is a {title}; take it out by {place} = {place}.{WRAPPERS[wrapper]}, and wrap it afterwards."
            )
        if module._compiled_call_impl is not None:
            raise SpecError(
                f"{place}.compile() was called, and compiled code does not see what changes; undo it by "
                f"{place}._compiled_call_impl = None, and compile afterwards."
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise SpecError(
                f"{place} is a {title}, which takes no new modules; give the network it was made from, and script or "
                "trace it afterwards."
            )
        if type(module).__module__.startswith(QUANTIZED) and title != "FloatFunctional":  # works on floats
            raise SpecError(f"{place} is a quantized {title}; work on the network before it is quantized.")


def see_changes() -> None:
    """Reset torch.compile, which does not notice added or removed hooks, so that networks are compiled again."""
    torch.compiler.reset()


def refuse_without_maps(model: nn.Module, flow: Flow, units: list[Unit], skipped: list[Skipped]) -> None:
    """Refuse networks that are not convolutional.

    Raises:
        SpecError: if no convolution runs, or the network is a transformer or a mixer.
    """
    title = type(model).__name__
    if not any(op.kind == "convolution" for op in flow.ops):
        raise SpecError(f"{title} has no channel maps: no convolution runs in it; give a convolutional network.")
    mixing = any(one.reason in (ATTENTION, TOKENS) for one in skipped)
    residual = any(unit.kind == "residual" for unit in units)
    branches = {op for unit in units if unit.kind == "residual" for op in unit.body}
    looks_around = any(
        max(op.kernel, default=1) > 1 and (_keeps_size(op) or (op in branches and _overlaps(op))) for op in flow.ops
    )
    if (mixing and not residual) or (residual and not looks_around):
        raise SpecError(
            f"{title} is a transformer or a mixer: its residual branches hold no spatial convolutions; "
            "squeeze-and-excitation is for convolutional networks."
        )


def _keeps_size(op: Op) -> bool:
    """Return whether a convolution (nearly) keeps the map size, unlike one with a stride or one that cuts patches."""
    after, before = op.output.sizes, op.inputs[0].sizes
    return len(after) == len(before) and all(3 * new > 2 * old for new, old in zip(after, before, strict=True))


def _overlaps(op: Op) -> bool:
    """Return whether the windows of a convolution overlap, unlike those of one that cuts patches."""
    after, before = op.output.sizes, op.inputs[0].sizes
    return len(after) == len(before) == len(op.kernel) and all(
        kernel * new > old for kernel, new, old in zip(op.kernel, after, before, strict=True)
    )


def refuse_if_nowhere(model: nn.Module, spec: SESpec, places: list[Place | str]) -> None:
    """Refuse a slot that no unit has.

    Raises:
        SpecError: if there is a reason against every place.
    """
    reasons = list(dict.fromkeys(place for place in places if isinstance(place, str)))
    if reasons and not any(isinstance(place, Place) for place in places):
        raise SpecError(
            f"slot = {spec.slot!r} exists in no unit of {type(model).__name__}: {'; '.join(reasons)}; choose another "
            f"slot, or give at=NAMES of modules to gate."
        )


def check_ratios(ratios: Mapping[str, int] | None, names: list[str]) -> None:
    """Refuse ratios for units that do not exist.

    Raises:
        SpecError: if a pattern matches no unit.
    """
    for pattern in ratios or {}:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SpecError(f"ratios = {pattern!r} matches no unit; names look like: {', '.join(names[:3])}.")


def check_stages(model: nn.Module, spec: SESpec, stages: list[tuple[int, ...]]) -> None:
    """Refuse stages, and ratios of stages, that the network does not have.

    Raises:
        SpecError: if the number of ratios is not that of the stages, or a stage is beyond the last one.
    """
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
