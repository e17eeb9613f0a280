"""Find layers before or after a block into which one constant for each channel can be multiplied exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float64
from torch import Tensor

from senet.dataflow.flow import Flow, Op, Value
from senet.surgery.folding.constants import scaled_
from senet.surgery.folding.written_norm import written_norm

__all__ = ["Absorber", "Refusal", "absorbers"]

# channelwise operations with f(c * x) = c * f(x): for every c, and for c >= 0 only
LINEAR = {
    "mean",
    *("avg_pool1d", "avg_pool2d", "avg_pool3d"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
    *("constant_pad_nd", "reflection_pad2d", "replication_pad2d"),
    *("upsample_nearest2d", "upsample_bilinear2d"),
    *("view", "unsafe_view", "squeeze", "unsqueeze", "clone", "alias", "detach"),
}
POSITIVE = {"relu", "leaky_relu", "prelu_kernel", "max_pool2d_with_indices", "max_pool3d_with_indices", "amax"}
NORMS = {
    *("native_batch_norm", "native_batch_norm_legit_no_training", "cudnn_batch_norm", "miopen_batch_norm"),
    "native_group_norm",
}
COPIES = {"repeat", "expand", "clone", "alias", "view"}
CONVS = {"convolution"}
LINEAR_MAPS = {"addmm": 1, "mm": 0}  # which argument is the map


class Refusal(Exception):  # noqa: N818 (it never leaves the package)
    """Raised when a layer cannot take the constants; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Absorber:
    """A layer that can take some of the constants.

    Attributes:
        layer: its path in the network.
        side: `out` scales its output (weight and bias), `into` scales its input (weight only).
        tensors: names of the parameters, or of the buffers of a frozen norm, that change.
        start: index of its first constant.
        stop: index after its last constant.
        groups: groups of a convolution whose input is scaled.
        positive: whether a ReLU or a maximum is in between, so that no constant may be negative.
    """

    layer: str
    side: str
    tensors: tuple[str, ...]
    start: int
    stop: int
    groups: int = 1
    positive: bool = False

    def apply(self, parameters: Mapping[str, Tensor], constant: Float64[Tensor, " c"]) -> None:
        """Multiply the constants into the layer, in place."""
        own = constant[self.start : self.stop]
        for name in self.tensors:
            scaled_(parameters[name], own, dim=0 if self.side == "out" else 1, groups=self.groups)


def absorbers(flow: Flow, name: str, constant: Float64[Tensor, " c"]) -> tuple[Absorber, ...]:
    """Return the layers that can take the constants of a block.

    First choice is a norm or convolution directly before the block, then the layers directly after it, then layers
    before it through a ReLU, a sum or a concatenation. Layers qualify only if no other operation reads a value that
    would change.

    Args:
        flow: the record of a forward pass.
        name: path of the scale that replaces the block.
        constant: factors of the channels `(c,)`.

    Raises:
        Refusal: if no layers can take the constants exactly.
    """
    (call,) = (call for call in flow.calls if call.name == name)
    before, after = call.input, call.output
    assert before is not None
    assert after is not None
    reasons = []
    plain: Callable[[Sequence[Absorber]], bool] = lambda found: len(found) == 1 and not found[0].positive  # noqa: E731
    ways: list[tuple[Callable[[], list[Absorber]], Callable[[Sequence[Absorber]], bool]]] = [
        (lambda: _before(flow, before, 0, len(constant), positive=False), plain),
        (lambda: _after(flow, after, len(constant), positive=False), lambda found: True),
        (lambda: _before(flow, before, 0, len(constant), positive=False), lambda found: True),
    ]
    for find, suits in ways:
        try:
            found = find()
        except Refusal as reason:
            reasons.append(str(reason))
            continue
        if any(one.positive for one in found) and bool((constant < 0).any()):
            reasons.append("a constant is negative and a ReLU or a maximum is between")
        elif suits(found):
            return tuple(found)
    raise Refusal("; ".join(dict.fromkeys(reasons)))


def _before(flow: Flow, value: Value, start: int, stop: int, *, positive: bool) -> list[Absorber]:
    """Return the layers before a value whose output can be multiplied by the constants.

    Raises:
        Refusal: if there are none.
    """
    if not value.clear or value.op is None:
        raise Refusal("it is not known where its input comes from")
    if flow.readings(value) != 1:
        raise Refusal("its input is used elsewhere too")
    op = value.op
    if value is not op.output:
        raise Refusal(f"{op.kind} before it returns several maps")
    if op.kind in CONVS and not op.args[6]:
        return [_absorber(flow, op, "out", op.reads[1:], start, stop, positive=positive)]
    if op.kind in NORMS:
        if not isinstance(op.args[1], Tensor):
            raise Refusal("the norm before it has no weights")
        count = 1 + isinstance(op.args[2], Tensor)
        return [_absorber(flow, op, "out", op.reads[1 : 1 + count], start, stop, positive=positive)]
    if _acts_alone(op, value) and (op.kind in LINEAR or op.kind in POSITIVE):
        return _before(flow, op.reads[0], start, stop, positive=positive or op.kind in POSITIVE)
    if op.kind == "add" and op.kwargs.get("alpha", 1) == 1 and _same_shapes(op):
        return [one for part in op.reads for one in _before(flow, part, start, stop, positive=positive)]
    if (own := written_norm(flow, op)) is not None:
        return [_absorber(flow, op, "out", own, start, stop, positive=positive)]
    if op.kind == "cat" and (op.args[1:] or (0,))[0] == 1:
        found = []
        for part in op.reads:
            found += _before(flow, part, start, start + part.shape[1], positive=positive)
            start += part.shape[1]
        return found
    raise Refusal(f"{_spoken(op)} comes before it")


def _after(flow: Flow, value: Value, channels: int, *, positive: bool) -> list[Absorber]:
    """Return the layers after a value whose input can be multiplied by the constants.

    Raises:
        Refusal: if not every operation that reads the value leads to such layers.
    """
    if not value.clear or not flow.readings(value):
        raise Refusal("it is not known where its output goes")
    found: list[Absorber] = []
    for op in value.users:
        if op.kind in CONVS and op.reads[0] is value and op.reads.count(value) == 1 and not op.args[6]:
            groups = op.args[8]
            assert isinstance(groups, int)
            found.append(_absorber(flow, op, "into", op.reads[1:2], 0, channels, groups=groups, positive=positive))
        elif op.kind in LINEAR_MAPS and op.args[LINEAR_MAPS[op.kind]] is not None and _reads(op, value):
            weight = op.reads[-1].op
            if weight is None or weight.kind != "t" or value.shape[1:] != (channels,):
                raise Refusal("the linear map after it has weights that cannot be scaled")
            found.append(_absorber(flow, op, "into", weight.reads, 0, channels, positive=positive))
        elif op.reads[0] is value and _acts_alone(op, value) and (op.kind in LINEAR or op.kind in POSITIVE):
            found += _after(flow, op.output, channels, positive=positive or op.kind in POSITIVE)
        else:
            raise Refusal(f"{_spoken(op)} follows it")
    if value in flow.outputs:
        raise Refusal("its output is an output of the network")
    return found


def _absorber(
    flow: Flow,
    op: Op,
    side: str,
    weights: Sequence[Value],
    start: int,
    stop: int,
    *,
    groups: int = 1,
    positive: bool = False,
) -> Absorber:
    weights = [_copied(weight) for weight in weights]
    if any(flow.readings(weight) != 1 for weight in weights):
        raise Refusal(f"the {_spoken(op)} beside it shares its weights or runs twice")
    tensors = tuple(weight.parameter for weight in weights)
    if not all(tensors):
        raise Refusal(f"the {_spoken(op)} beside it computes its weights")
    layer = tensors[0].rpartition(".")[0]
    return Absorber(layer=layer, side=side, tensors=tensors, start=start, stop=stop, groups=groups, positive=positive)


def _copied(weight: Value) -> Value:
    """Return the tensor that a weight is a copy of; instance norms repeat theirs for every image."""
    while weight.op is not None and weight.op.kind in COPIES and weight.op.reads[0].shape == weight.shape:
        weight = weight.op.reads[0]
    return weight


def _acts_alone(op: Op, value: Value) -> bool:
    """Return whether an operation of `LINEAR` or `POSITIVE` is channelwise with the arguments of this call."""
    source, result = op.reads[0].shape, op.output.shape
    if op.kind in ("mean", "amax"):
        dims = op.args[1] if len(op.args) > 1 else None
        over = [dim % len(source) for dim in dims] if isinstance(dims, list | tuple) else [0]
        return min(over, default=0) > 1
    if op.kind == "constant_pad_nd":
        pads = op.args[1]
        assert isinstance(pads, Sequence)
        fill = op.args[2] if len(op.args) > 2 else 0
        return fill == 0 and len(pads) <= 2 * (len(source) - 2)
    if op.kind in ("reflection_pad2d", "replication_pad2d"):
        return len(source) == 4
    return len(source) > 1 and source[:2] == result[:2]


def _same_shapes(op: Op) -> bool:
    return len(op.reads) == 2 and all(part.shape == op.output.shape for part in op.reads)


def _reads(op: Op, value: Value) -> bool:
    return op.reads[LINEAR_MAPS[op.kind]] is value and op.reads.count(value) == 1


_WORDS = {"convolution": "convolution", "add": "a sum", "cat": "a concatenation"}


def _spoken(op: Op) -> str:
    if op.kind in NORMS:
        return "norm"
    return _WORDS.get(op.kind, op.kind)
