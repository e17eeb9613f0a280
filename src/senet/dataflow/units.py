"""Find the units of a network in its data flow: residual units by their additions, else concatenations, else layers."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import prod

from senet.dataflow.flow import ACTIVATIONS, Flow, Op, Value

__all__ = ["ATTENTION", "TOKENS", "Skipped", "Unit", "find_units", "inside", "stage_of", "stage_sizes"]

FLAT = frozenset({
    *("sigmoid", "tanh", "softmax", "log_softmax", "clamp", "hardtanh", "mul", "div", "add", "clone", "alias", "slice"),
    *("upsample_bilinear2d", "upsample_nearest2d", "upsample_bicubic2d", "upsample_trilinear3d", "upsample_nearest3d"),
    *("upsample_linear1d", "upsample_nearest1d", "pixel_shuffle", "view", "reshape", "unsafe_view", "permute"),
    *("mean", "squeeze", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
})  # fmt: skip
"""Operations after the last layer that compute no new features: they squash, resize or reorder the output."""

GATES = frozenset({"sigmoid", "hardsigmoid", "softmax"})
GATE = "its output is the input of a gate"
OUTPUT = "it is the output of the network"
TOKENS = "it adds sequences of tokens, not maps"
ATTENTION = "its branch is an attention over positions"


@dataclass(frozen=True, kw_only=True, eq=False)
class Unit:
    """A unit that may get a block.

    Attributes:
        name: path of the innermost module that holds all of it; empty for the network itself.
        kind: `residual`, `concat` or `layer`.
        end: its last operation: the addition, the concatenation, or the last operation of the layer.
        branch: the value at the end of its branch, which the slot `standard` gates.
        body: the operations of the branch, in order.
        fork: the value from which branch and shortcut are computed; None in units without a shortcut.
        shortcut: the other summand of the addition; None in units without a shortcut.
    """

    name: str
    kind: str
    end: Op
    branch: Value
    body: tuple[Op, ...]
    fork: Value | None = None
    shortcut: Value | None = None


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A place without a block, and the reason."""

    name: str
    reason: str


def inside(module: str, names: Collection[str]) -> bool:
    """Return whether a module is one of `names` or a submodule of one."""
    parts = module.split(".")
    return any(".".join(parts[:end]) in names for end in range(len(parts) + 1))


def find_units(
    flow: Flow, *, blocks: Collection[str] = (), chains: Collection[str] = ()
) -> tuple[list[Unit], list[Skipped]]:
    """Find the units of a network: its residual units, or its concatenations, or its convolutional layers.

    Args:
        flow: the record of its forward pass.
        blocks: names of its existing SE blocks; operations in them do not belong to a unit.
        chains: names of modules that cannot hold a block as a child; the enclosing module is then the unit.

    Returns:
        The units in the order in which they end, and the places that were rejected, with reasons.
    """
    skipped: list[Skipped] = []
    units = (
        _residual_units(flow, blocks, skipped)
        or _concat_units(flow, blocks, chains, skipped)
        or _layers(flow, blocks, skipped)
    )
    return units, skipped


def stage_sizes(units: Sequence[Unit]) -> list[tuple[int, ...]]:
    """Return the map sizes of the stages of a network: the distinct ones of its units, in order of first appearance."""
    return list(dict.fromkeys(unit.end.output.sizes for unit in units))


def stage_of(sizes: tuple[int, ...], stages: Sequence[tuple[int, ...]]) -> int:
    """Return the number of the stage of a map, from 1; 1 for a size that no unit has."""
    return stages.index(sizes) + 1 if sizes in stages else 1


def _residual_units(flow: Flow, blocks: Collection[str], skipped: list[Skipped]) -> list[Unit]:
    units = []
    for op in flow.ops:
        if op.kind == "add" and len(op.inputs) == 2 and not inside(op.module, blocks):
            unit = _residual_unit(flow, op, blocks)
            if isinstance(unit, Unit):
                units.append(unit)
            elif unit is not None:
                skipped.append(unit)
    ends = {unit.end for unit in units}
    kept = [unit for unit in units if ends.isdisjoint(unit.body) or any(map(_bends, _decoder(unit, ends)))]
    reason = "its branch holds residual units, which get the blocks"
    skipped += [Skipped(name=unit.name, reason=reason) for unit in units if unit not in set(kept)]
    return kept


def _decoder(unit: Unit, ends: Collection[Op]) -> list[Op]:
    """Return the operations of an encoder-decoder unit after the last unit inside it, at a higher resolution.

    The list is empty for other units, and for a unit without layers of its own there, as in a feature pyramid.
    """
    last = max(op.index for op in unit.body if op in ends)
    tail = [op for op in unit.body if op.index > last]
    size = prod(unit.branch.sizes)
    dives = any(_is_map(op.output) and prod(op.output.sizes) < size for op in unit.body if op.index <= last)
    return tail if dives and any(op.weighted for op in tail) else []


def _residual_unit(flow: Flow, end: Op, blocks: Collection[str]) -> Unit | Skipped | None:
    left, right = end.inputs
    if left.shape != right.shape or left.shape != end.output.shape:
        return None
    if not _is_map(end.output):
        tokens = len(end.output.shape) == 3 and end.output.axis == 2
        return Skipped(name=end.module, reason=TOKENS) if tokens else None
    common = left.ancestors & right.ancestors
    fork = flow.values[common.bit_length() - 1]
    sides = sorted(
        ((value, [op for op in flow.between(fork, value) if not inside(op.module, blocks)]) for value in (left, right)),
        key=lambda side: sum(op.weighted for op in side[1]),
    )
    (shortcut, way), (branch, _) = sides
    body = flow.between(fork, branch)
    weighted, carried = sum(op.weighted for op in sides[1][1]), sum(op.weighted for op in way)
    if not weighted or carried > 1 or (carried and (weighted < 2 or any(map(_bends, way)))):
        return None  # parallel branches, none of them a shortcut
    if not carried and not 0 < fork.channels <= end.output.channels:
        return None  # parts of one map are mixed, as in Res2Net
    if not any(map(_bends, sides[1][1])):
        return None  # parallel linear maps, as in RepVGG, are equivalent to one convolution
    name = _home([end, *sides[1][1]])
    if any(map(_attends, body)):
        return Skipped(name=name, reason=ATTENTION)
    if _gates(end.output):
        return Skipped(name=end.module, reason=GATE)
    image = not any(op.weighted and fork.needs(op.output) for op in flow.ops)
    wider = any(op.output.channels > fork.channels for op in body if op.weighted)
    if image and wider and _is_bare(flow, branch, end.output):
        return Skipped(name=name, reason=OUTPUT)  # a residual of the image itself, as in VDSR and DnCNN
    return Unit(name=name, kind="residual", end=end, branch=branch, body=tuple(body), fork=fork, shortcut=shortcut)


def _concat_units(flow: Flow, blocks: Collection[str], chains: Collection[str], skipped: list[Skipped]) -> list[Unit]:
    units: dict[str, Unit] = {}
    given = flow.given_out()
    last = {call.name: value for value, calls in given.items() for call in calls}
    for op in flow.ops:
        home = op.module
        while home in chains:
            home = home.rpartition(".")[0]
        out = last.get(home)
        if op.kind != "cat" or not _is_map(op.output) or not home or inside(home, blocks):
            continue
        if out is None or flow.times[home] != 1:
            continue
        fork = flow.values[_common(op.inputs).bit_length() - 1]
        ways = [(value, flow.between(fork, value)) for value in op.inputs]
        grown = [(value, way) for value, way in ways if any(part.weighted for part in way)]
        kept = [value for value, way in ways if not any(part.weighted or "pool" in part.kind for part in way)]
        own = [(value, way) for value, way in grown if inside(_home(way), {home})]
        if kept and len(grown) == len(own) == 1 and any(map(_bends, own[0][1])) and _is_own(own[0][0], fork):
            branch, body = own[0]  # as in ShuffleNet v2: the other channels are not processed
        elif _is_map(out):
            branch, body = out, flow.between(fork, out)
        else:
            continue
        units[home] = Unit(name=home, kind="concat", end=op, branch=branch, body=tuple(body))
    innermost: list[Unit] = []
    for name, unit in units.items():
        ends = {other.end for inner, other in units.items() if inner.startswith(f"{name}.")} & set(unit.body)
        if ends and not _decoder(unit, ends):
            skipped.append(Skipped(name=name, reason="it holds other units, which get the blocks"))
        elif _is_bare(flow, unit.branch, unit.branch):
            skipped.append(Skipped(name=name, reason=OUTPUT))
        else:
            innermost.append(unit)
    return innermost


def _is_own(branch: Value, fork: Value) -> bool:
    """Return whether a value is not another branch's map, scaled by a gate of this branch as in an attention U-Net."""
    op = branch.op
    return op is None or op.kind != "mul" or all(value.needs(fork) for value in op.inputs)


def _layers(flow: Flow, blocks: Collection[str], skipped: list[Skipped]) -> list[Unit]:
    units: dict[Value, Unit] = {}
    for op in flow.ops:
        if op.kind != "convolution" or not op.weighted or inside(op.module, blocks):
            continue
        if op.depthwise:
            skipped.append(Skipped(name=op.module, reason="a depthwise convolution mixes no channels"))
            continue
        if not _is_map(op.output) or max(op.output.sizes) == 1:
            continue
        body = [op]
        value = op.output
        while len(value.users) == 1 and _follows(value.users[0]) and value.users[0].output.shape == value.shape:
            body.append(value.users[0])
            value = body[-1].output
        if _is_bare(flow, value, value):
            skipped.append(Skipped(name=op.module, reason=OUTPUT))
        elif _gates(value):
            skipped.append(Skipped(name=op.module, reason=GATE))
        elif value not in units:  # parallel convolutions that are added are one layer, as in RepVGG
            units[value] = Unit(name=_home(body), kind="layer", end=body[-1], branch=value, body=tuple(body))
    return list(units.values())


def _follows(op: Op) -> bool:
    """Return whether an operation belongs to the layer of the convolution before it."""
    return op.kind == "add" or (len(op.inputs) == 1 and ("norm" in op.kind or op.kind in ACTIVATIONS))


def _is_bare(flow: Flow, branch: Value, out: Value) -> bool:
    """Return whether a value is a network output directly from a convolution: logits, an image, a residual."""
    if not flow.is_final(out):
        return False
    ahead = [out]
    for value in ahead:
        for op in value.users:
            if op.kind not in FLAT:
                return False
            ahead.append(op.output)
    while branch.op is not None and not branch.op.weighted:
        if branch.op.kind not in FLAT:
            return False
        branch = branch.op.inputs[-1]
    return branch.op is not None and branch.op.kind == "convolution"


def _gates(value: Value) -> bool:
    """Return whether a value is only used for a gate: a single path to a sigmoid, and from there to products."""
    squashed = value.op is not None and value.op.kind in GATES
    while len(value.users) == 1 and len(value.users[0].inputs) == 1:
        value = value.users[0].output
        squashed = squashed or (value.op is not None and value.op.kind in GATES)
    return squashed and bool(value.users) and all(op.kind == "mul" for op in value.users)


def _is_map(value: Value) -> bool:
    """Return whether a value is a map of several channels over positions, and not a sequence of tokens."""
    return value.channels > 1 and (len(value.shape) > 3 or (len(value.shape) == 3 and value.axis == 1))


def _bends(op: Op) -> bool:
    """Return whether an operation is not a linear map: an activation, or a product of two values."""
    return op.kind in ACTIVATIONS or (op.kind == "mul" and len(op.inputs) > 1)


def _attends(op: Op) -> bool:
    """Return whether an operation is part of an attention: a product of two matrices computed from the image.

    Products with a single row or column do not count: they weight positions, as global context blocks do.
    """
    product = "bmm" in op.kind and min(op.output.shape[-2:]) > 1
    return (product or "attention" in op.kind) and len(op.inputs) > 1


def _common(values: Sequence[Value]) -> int:
    bits = values[0].ancestors
    for value in values[1:]:
        bits &= value.ancestors
    return bits


def _home(ops: Iterable[Op]) -> str:
    """Return the innermost module in which all operations run."""
    paths = [op.module.split(".") for op in ops]
    together = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    return ".".join(parts[0] for parts in together)
