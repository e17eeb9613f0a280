"""Plan an insertion: where blocks would be placed in a network, and what they would cost."""

import warnings
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

import torch
from torch import nn

from senet.calls import by_name
from senet.dataflow.example import image, observe, tried
from senet.dataflow.flow import Flow, Op
from senet.dataflow.units import Skipped, Unit, find_units, inside, stage_of, stage_sizes
from senet.errors import SpecError, shown
from senet.nn import SqueezeExcite
from senet.nn.gate import GATES
from senet.spec import SESpec, Slot, designs
from senet.surgery.finding.find import find
from senet.surgery.insertion.choose import At, choose
from senet.surgery.insertion.hooks import free_name
from senet.surgery.insertion.numbering import Key, check_blocks, numbered
from senet.surgery.insertion.places import Place, Placer, chains
from senet.surgery.insertion.refuse import (
    check_ratios,
    check_stages,
    refuse_if_nowhere,
    refuse_without_maps,
    refuse_wrapped,
)
from senet.surgery.insertion.report import Insertion, PlannedBlock
from senet.surgery.insertion.watch import repair

__all__ = ["plan", "with_unit_gate"]

UNIT_GATES = {"sigmoid": "unit_sigmoid", "tanh": "unit_tanh", "hard_sigmoid": "unit_hard_sigmoid"}


@by_name
def plan(
    model: nn.Module,
    spec: SESpec | str | Sequence[SESpec | str] | None = None,
    *,
    at: At = "auto",
    slot: Slot | None = None,
    ratios: Mapping[str, int] | None = None,
    min_channels: int = 1,
    preserve: bool = True,
    allow_existing: bool = False,
    shape: Sequence[int] | None = None,
) -> Insertion:
    """Return the insertion that `insert` would perform with the same arguments, without changing the network.

    The network runs once in evaluation mode, on meta tensors if possible; weights, statistics and random number
    generators do not change.

    Args:
        model: any network that takes one tensor of images.
        spec: the design, as an `SESpec` or as a word of the command line (`"standard:reduction=8"`); None stands for
            `SESpec()`. Several ratios in `reduction` apply to the stages, or to the blocks of a stage in the order
            in which they run.
        at: `auto` for all units; a pattern or a list of patterns of unit names (`layer3.*`), or of module names where
            no unit matches (`decoder.blocks.*`: the output of these modules is gated, of modules in modules that of
            the outermost); or a function of name and module.
        slot: place in the unit; None uses the slot of the spec.
        ratios: ratios of single units by patterns of their names, which override the spec; the first match applies.
        min_channels: smallest number of channels of a map that gets a block.
        preserve: whether the blocks start as the identity; the gate is then one that is exactly 1 at 0.
        allow_existing: whether units that already have a block, of senet or another library, get another one.
        shape: shape of the input to run, `(n, c, h, w)`; None tries the network's own metadata, then common sizes.

    Returns:
        The planned blocks and the skipped units, with reasons.

    Raises:
        SpecError: if the network has no units for blocks, or the design does not fit it.

    Example:
        >>> [block.name for block in plan(create_model("resnet8"), shape=(1, 3, 32, 32))]
        ['stage1.unit1.branch.norm2.se', 'stage2.unit1.branch.norm2.se', 'stage3.unit1.branch.norm2.se']
    """
    spec = _design(spec).but(**({} if slot is None else {"slot": slot}))
    spec = with_unit_gate(spec) if preserve else spec
    refuse_wrapped(model)
    repair(model)  # a part may have lost its blocks on purpose, as the folded backbone of a detector
    existing = {name for found in find(model) for name in found.modules}
    flow = observe(model, shape)
    units, skipped = find_units(flow, blocks=existing, chains=chains(model))
    if at == "auto":
        refuse_without_maps(model, flow, units, skipped)
    placer = Placer(model, flow, existing, stack=allow_existing)
    if spec.slot == "standard":
        units = placer.with_relatives(units, skipped)
    wanted = choose(units, placer, spec, at)
    named = {name for name, _, _ in wanted if name}
    if at != "auto" and not any(max(op.kernel, default=1) > 1 and inside(op.module, named) for op in flow.ops):
        refuse_without_maps(model, flow, units, skipped)  # the decoder of a transformer may well be convolutional
    held = {} if allow_existing else {name: old for name, unit, _ in wanted if (old := _block_in(name, unit, existing))}
    refuse_if_nowhere(model, spec, [place for name, _, place in wanted if name not in held])
    stages = stage_sizes(units)
    check_stages(model, spec, stages)
    check_ratios(ratios, [name for name, _, _ in wanted])
    numbers = numbered(units, wanted, placer, spec.slot, lambda place: stage_of(place.value.sizes, stages))
    check_blocks(model, spec, numbers)
    placed: dict[Key, tuple[str, Place, tuple[int, int]]] = {}
    for name, _, place in wanted:
        if name in held:
            skipped.append(Skipped(name=name, reason=f"it has a block already: {held[name]}"))
        elif isinstance(place, str):
            skipped.append(Skipped(name=name, reason=place))
        elif spec.stages and (stage := stage_of(place.value.sizes, stages)) not in spec.stages:
            skipped.append(Skipped(name=name, reason=f"it is in stage {stage}"))
        elif place.value.channels < min_channels:
            skipped.append(Skipped(name=name, reason=f"its {place.value.channels} channels are below {min_channels}"))
        elif _key(place) in placed:
            skipped.append(Skipped(name=name, reason=f"{place.host} holds the block of another unit"))
        else:
            placed[_key(place)] = (name, place, numbers[_key(place)])
    in_order = sorted(placed.values(), key=lambda one: one[1].value.index)
    blocks = tuple(
        _planned(model, name, place, spec, where, _ratio(name, ratios) or spec.ratio(*where))
        for name, place, where in in_order
    )
    owners = [one for one in wanted if one[0] in held or (isinstance(one[2], Place) and _key(one[2]) in placed)]
    every = [op for op in flow.ops if op.kind == "convolution" and op.weighted and not inside(op.module, existing)]
    gated = {op for name, unit, _ in owners for op in (unit.body if unit else _inside(name, flow))}
    return Insertion(
        blocks=blocks,
        skipped=tuple(skipped),
        shape=flow.shape,
        convolutions=len(every),
        gated=sum(op in gated for op in every),
    )


def _design(spec: object) -> SESpec:
    """Return the single design of an argument.

    Raises:
        SpecError: if it is not a design, or several designs.
    """
    if spec is None:
        return SESpec()
    given = designs(spec)
    some = given if isinstance(given, tuple | list) else (given,)
    if len(some) == 1 and isinstance(some[0], SESpec):
        return some[0]
    if len(some) > 1:
        raise SpecError(
            f"spec = {shown(spec)} has {len(some)} designs; insert them one after the other, from the second on with "
            "allow_existing=True."
        )
    raise SpecError(f"spec = {shown(spec)} is not a design; give an SESpec or words like 'standard:reduction=8'.")


def with_unit_gate(spec: SESpec) -> SESpec:
    """Return the design with its gate replaced by the form that is exactly 1 at 0 (sigmoid becomes 2 * sigmoid).

    Raises:
        SpecError: if the gate has no such form, or the excitation no layer that can start at zero.
    """
    if spec.variant == "none":
        raise SpecError(
            f"{spec.kind_name or spec}: variant = 'none' has no layer that can start at zero, so a new block would "
            "change the network; choose another kind, e.g. eca or gct, or give preserve=False."
        )
    gate = UNIT_GATES.get(spec.gate, spec.gate) if isinstance(spec.gate, str) else spec.gate
    function = GATES[gate] if isinstance(gate, str) else gate
    if gate != "add" and function(torch.zeros((), device="cpu")) != 1:
        raise SpecError(
            f"gate = {spec.gate!r} is not 1 at 0, so a new block would change the network; choose one of: sigmoid, "
            "tanh, hard_sigmoid, unit_sigmoid, unit_tanh, unit_hard_sigmoid, gaussian, add, or give preserve=False."
        )
    return spec.but(gate=gate)


def _block_in(name: str, unit: Unit | None, existing: set[str]) -> str | None:
    """Return the name of a block in the branch of a unit or anywhere in its module, or None."""
    for op in unit.body if unit is not None else ():
        if inside(op.module, existing):
            return next(block for block in existing if inside(op.module, {block}))
    return next((block for block in sorted(existing) if name and block.startswith(f"{name}.")), None)


def _key(place: Place) -> Key:
    return place.host, place.side


def _inside(name: str, flow: Flow) -> list[Op]:
    return [op for op in flow.ops if inside(op.module, {name})]


def _ratio(name: str, ratios: Mapping[str, int] | None) -> int | None:
    return next((ratio for pattern, ratio in (ratios or {}).items() if fnmatchcase(name, pattern)), None)


def _planned(
    model: nn.Module, name: str, place: Place, spec: SESpec, where: tuple[int, int], ratio: int
) -> PlannedBlock:
    value, single = place.value, spec.but(reduction=ratio, stages=())
    widths, params, macs = _numbers(single, value.channels, value.sizes)
    host = model.get_submodule(place.host)
    return PlannedBlock(
        name=f"{place.host}.{free_name(host, place.side)}",
        unit=name,
        host=place.host,
        side=place.side,
        slot=spec.slot,
        stage=where[0],
        number=where[1],
        spec=single,
        channels=value.channels,
        widths=widths,
        resolution=value.sizes,
        channels_last=value.axis != 1,
        params=params,
        macs=macs,
    )


@lru_cache
def _numbers(spec: SESpec, channels: int, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], int, int]:
    """Return the widths, parameters and multiply-adds of a block on a map of these sizes."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        block = SqueezeExcite(channels, spec, dims=len(sizes))
    flow = tried(block, image(block, (1, channels, *sizes), "cpu"))
    params = sum(parameter.numel() for parameter in block.parameters())
    return block.widths, params, sum(op.macs for op in flow.inside(""))
