"""Where blocks would go in a network, and what they would cost: `plan` looks, `insert` acts on what it gives."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod

import torch
from torch import nn

from senet.errors import SpecError
from senet.nn import SqueezeExcite
from senet.nn.gate import GATES
from senet.spec import SESpec
from senet.surgery.find import find
from senet.surgery.flow import Flow
from senet.surgery.hooks import free_name
from senet.surgery.places import Place, Placer, chains
from senet.surgery.shape import observe
from senet.surgery.units import ATTENTION, TOKENS, Skipped, Unit, find_units, inside

__all__ = ["At", "Insertion", "PlannedBlock", "plan"]

At = str | Callable[[str, nn.Module], bool] | Sequence[str]
"""Which units: `auto`, a pattern of names, several, or a function of name and module."""

UNIT_GATES = {"sigmoid": "unit_sigmoid", "tanh": "unit_tanh"}
WRAPPERS = ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel", "OptimizedModule")


@dataclass(frozen=True, kw_only=True)
class PlannedBlock:
    """One block that is to be inserted, or was.

    Attributes:
        name: path of the block in the network.
        unit: path of the unit it belongs to; empty for the network itself.
        host: path of the module whose child it is.
        side: whether it gates the `output` of the host or its `input`.
        slot: where in the unit.
        stage: from 1; a stage is all units of one map size, in the order of their first unit.
        spec: its design, with one ratio.
        channels: channels of the map.
        widths: widths of its excitation, `(channels, hidden, ..., channels)`.
        resolution: sizes of the map [pixels].
        channels_last: whether channels are the last axis of the map.
        params: parameters it adds [1].
        macs: multiply-adds of one image it adds [MAC].
    """

    name: str
    unit: str
    host: str
    side: str
    slot: str
    stage: int
    spec: SESpec
    channels: int
    widths: tuple[int, ...]
    resolution: tuple[int, ...]
    channels_last: bool
    params: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class Insertion:
    """The blocks of one insertion, planned or done; it iterates over them.

    Attributes:
        blocks: in the order of a forward pass.
        skipped: places without a block, with the reason.
        shape: input on which the network was tried.
    """

    blocks: tuple[PlannedBlock, ...]
    skipped: tuple[Skipped, ...]
    shape: tuple[int, ...]

    def __iter__(self) -> Iterator[PlannedBlock]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """Paths of the blocks in the network."""
        return tuple(block.name for block in self.blocks)

    @property
    def params(self) -> int:
        """Parameters the blocks add [1]."""
        return sum(block.params for block in self.blocks)

    @property
    def macs(self) -> int:
        """Multiply-adds of one image the blocks add [MAC]."""
        return sum(block.macs for block in self.blocks)


def plan(
    model: nn.Module,
    spec: SESpec | None = None,
    *,
    at: At = "auto",
    slot: str | None = None,
    ratios: Mapping[str, int] | None = None,
    min_channels: int = 1,
    preserve: bool = True,
    allow_existing: bool = False,
    shape: Sequence[int] | None = None,
) -> Insertion:
    """Show what `insert` would do with the same arguments, without touching the network.

    The network runs once in evaluation mode, on tensors without data where it can; weights, statistics and random
    numbers stay as they are.

    Args:
        model: any network that takes one tensor of images.
        spec: the design; None stands for `SESpec()`. Several ratios in `reduction` are those of the stages.
        at: `auto` for all units; a pattern or a list of patterns of unit names (`layer3.*`), of module names where
            no unit matches (`features.*.2`: the output of these modules is gated); or a function of name and module.
        slot: place in the unit; None stands for the one of the spec.
        ratios: ratios of single units by patterns of their names, before those of the spec; the first match holds.
        min_channels: maps with fewer channels get no block.
        preserve: whether the blocks start as the identity; the gate is then one that is exactly 1 at 0.
        allow_existing: whether units with a block, ours or a foreign one, get one more.
        shape: input to try, `(n, c, h, w)`; None tries what the network says of itself, then usual sizes.

    Raises:
        SpecError: if the network has no units for blocks, or the design does not fit it.

    Example:
        >>> [block.name for block in plan(create_model("resnet8"), shape=(1, 3, 32, 32))]
        ['stage1.unit1.branch.norm2.se', 'stage2.unit1.branch.norm2.se', 'stage3.unit1.branch.norm2.se']
    """
    spec = (spec or SESpec()).but(**({} if slot is None else {"slot": slot}))
    spec = with_unit_gate(spec) if preserve else spec
    refuse_wrapped(model)
    existing = {found.name for found in find(model)}
    flow = observe(model, shape)
    units, skipped = find_units(flow, blocks=existing, chains=chains(model))
    _refuse_without_maps(model, flow, units, skipped, at)
    placer = Placer(model, flow, existing, stack=allow_existing)
    if spec.slot == "standard":
        units = sorted([*units, *placer.relatives(units, skipped)], key=lambda unit: unit.end.index)
    wanted = _wanted(units, placer, spec, at)
    held = {} if allow_existing else {unit: old for _, unit, _ in wanted if unit and (old := _block_in(unit, existing))}
    _refuse_if_nowhere(model, spec, [place for _, unit, place in wanted if unit not in held])
    stages = _stages(units)
    _check_stages(model, spec, stages)
    _check_ratios(ratios, [name for name, _, _ in wanted])
    placed: dict[tuple[str, str], tuple[str, Place, int]] = {}
    for name, unit, place in wanted:
        if unit in held:
            skipped.append(Skipped(name=name, reason=f"it has a block already: {held[unit]}"))
        elif isinstance(place, str):
            skipped.append(Skipped(name=name, reason=place))
        elif spec.stages and (stage := _stage_of(place, stages)) not in spec.stages:
            skipped.append(Skipped(name=name, reason=f"it is in stage {stage}"))
        elif place.value.channels < min_channels:
            skipped.append(Skipped(name=name, reason=f"its {place.value.channels} channels are below {min_channels}"))
        elif (place.host, place.side) in placed:
            skipped.append(Skipped(name=name, reason=f"{place.host} holds the block of another unit"))
        else:
            placed[place.host, place.side] = (name, place, _stage_of(place, stages))
    in_order = sorted(placed.values(), key=lambda one: one[1].value.index)
    blocks = tuple(_planned(model, name, place, spec, stage, _ratio(name, ratios)) for name, place, stage in in_order)
    return Insertion(blocks=blocks, skipped=tuple(skipped), shape=flow.shape)


def with_unit_gate(spec: SESpec) -> SESpec:
    """Give the design the gate that is exactly 1 at 0 in place of the one in [0, 1] or [-1, 1].

    Raises:
        SpecError: if its gate has no such form.
    """
    gate = UNIT_GATES.get(spec.gate, spec.gate) if isinstance(spec.gate, str) else spec.gate
    function = GATES[gate] if isinstance(gate, str) else gate
    if function(torch.zeros((), device="cpu")) != 1:
        raise SpecError(
            f"gate = {spec.gate!r} is not 1 at 0, so a new block would change the network; choose one of: sigmoid, "
            f"tanh, unit_sigmoid, unit_tanh, or give preserve=False."
        )
    return spec.but(gate=gate)


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


def _refuse_without_maps(model: nn.Module, flow: Flow, units: list[Unit], skipped: list[Skipped], at: At) -> None:
    title = type(model).__name__
    if not any(op.kind == "convolution" for op in flow.ops):
        raise SpecError(f"{title} has no channel maps: no convolution runs in it; give a convolutional network.")
    mixing = any(one.reason in (ATTENTION, TOKENS) for one in skipped)
    residual = any(unit.kind == "residual" for unit in units)
    looks_around = any(max(op.kernel, default=1) > 1 and op.output.sizes == op.inputs[0].sizes for op in flow.ops)
    if (mixing and not residual) or (residual and not looks_around):
        raise SpecError(
            f"{title} is a transformer or a mixer: its residual branches hold no spatial convolutions; "
            "squeeze-and-excitation is for convolutional networks."
        )
    if not units and at == "auto":
        raise SpecError(f"{title} has no unit for a block at input {flow.shape}; give at=NAMES of modules to gate.")


def _refuse_if_nowhere(model: nn.Module, spec: SESpec, places: list[Place | str]) -> None:
    reasons = list(dict.fromkeys(place for place in places if isinstance(place, str)))
    if reasons and not any(isinstance(place, Place) for place in places):
        raise SpecError(
            f"slot = {spec.slot!r} exists in no unit of {type(model).__name__}: {'; '.join(reasons)}; choose another "
            f"slot, or give at=NAMES of modules to gate."
        )


def _check_ratios(ratios: Mapping[str, int] | None, names: list[str]) -> None:
    for pattern in ratios or {}:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SpecError(f"ratios = {pattern!r} matches no unit; names look like: {', '.join(names[:3])}.")


def _wanted(units: list[Unit], placer: Placer, spec: SESpec, at: At) -> list[tuple[str, Unit | None, Place | str]]:
    if at == "auto":
        return [(unit.name, unit, placer.place(unit, spec.slot)) for unit in units]
    chosen: list[tuple[str, Unit | None, Place | str]] = []
    names = [name for name in placer.modules if name]
    for test, said in _tests(at, placer.modules):
        matching = [unit for unit in units if unit.name and test(unit.name)]
        found: list[tuple[str, Unit | None, Place | str]]
        found = [(unit.name, unit, placer.place(unit, spec.slot)) for unit in matching]
        if not found:
            found = [(name, None, placer.output_of(name)) for name in names if test(name)]
            if found and all(isinstance(place, str) for _, _, place in found):
                name, _, why = found[0]
                raise SpecError(f"at = {said} matches {name}, but {why}.")
        if not found:
            some = ", ".join(unit.name for unit in units[:3] if unit.name) or ", ".join(names[:3])
            raise SpecError(f"at = {said} matches no unit and no module; names look like: {some}.")
        chosen += [one for one in found if one not in chosen]
    return chosen


def _tests(at: At, modules: Mapping[str, nn.Module]) -> list[tuple[Callable[[str], bool], str]]:
    if callable(at):
        return [(lambda name: bool(at(name, modules[name])), getattr(at, "__name__", "the function"))]
    patterns = [at] if isinstance(at, str) else list(at)
    return [(lambda name, pattern=pattern: fnmatchcase(name, pattern), repr(pattern)) for pattern in patterns]


def _stages(units: Sequence[Unit]) -> list[tuple[int, ...]]:
    """Give the map sizes of the units, each once, in the order in which they come."""
    return list(dict.fromkeys(unit.end.output.sizes for unit in units))


def _stage_of(place: Place, stages: list[tuple[int, ...]]) -> int:
    return stages.index(place.value.sizes) + 1 if place.value.sizes in stages else 1


def _check_stages(model: nn.Module, spec: SESpec, stages: list[tuple[int, ...]]) -> None:
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


def _block_in(unit: Unit, existing: set[str]) -> str | None:
    for op in unit.body:
        if inside(op.module, existing):
            return next(name for name in existing if inside(op.module, {name}))
    return next((name for name in sorted(existing) if unit.name and name.startswith(f"{unit.name}.")), None)


def _ratio(name: str, ratios: Mapping[str, int] | None) -> int | None:
    return next((ratio for pattern, ratio in (ratios or {}).items() if fnmatchcase(name, pattern)), None)


def _planned(model: nn.Module, name: str, place: Place, spec: SESpec, stage: int, ratio: int | None) -> PlannedBlock:
    value, channels = place.value, place.value.channels
    single = spec.but(reduction=ratio or spec.ratio(stage), stages=())
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        block = SqueezeExcite(channels, single, dims=len(value.sizes))
    host = model.get_submodule(place.host)
    return PlannedBlock(
        name=f"{place.host}.{free_name(host, place.side)}",
        unit=name,
        host=place.host,
        side=place.side,
        slot=spec.slot,
        stage=stage,
        spec=single,
        channels=channels,
        widths=block.widths,
        resolution=value.sizes,
        channels_last=value.axis != 1,
        params=sum(parameter.numel() for parameter in block.parameters()),
        macs=_macs(block, value.sizes),
    )


def _macs(block: SqueezeExcite, sizes: tuple[int, ...]) -> int:
    """Count the multiply-adds: layers act on the pooled map, leading ones of some designs on every position."""
    everywhere = len(block.layers) if block.spec.squeeze == "none" else block.num_map_layers
    return sum(
        layer.weight.numel() * (prod(sizes) if number < everywhere else 1)
        for number, layer in enumerate(block.get_submodule(name) for name in block.layers)
    )
