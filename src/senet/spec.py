"""Define the design of a squeeze-and-excitation block as values, `SESpec`, without importing torch.

An excitation is a sequence of widths, and every variation of the papers is a point in that space. With `C`
channels and ratio `r`: `h = max(1, C // r)` and `m`, the wider of the two slow layers, by `slow_rule`.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeGuard, cast, get_args

from senet.bounds import RANGES
from senet.calls import by_name
from senet.errors import SpecError, shown, unknown
from senet.kinds import KINDS
from senet.spec_words import ratio_word, read_words

__all__ = [
    "ACTIVATION_NAMES",
    "GATE_NAMES",
    "MAP_KERNELS",
    "NAMES",
    "NORM_NAMES",
    "SLOTS",
    "SQUEEZE_NAMES",
    "VARIANTS",
    "Ratios",
    "SESpec",
    "Widths",
    "design_name",
    "designs",
]

Variants = Literal[
    "standard", "slow_squeeze", "slow_excite", "slow_both", "bump", "bump_conv",
    "direct", "conv", "channelwise", "channelwise_both", "none",
]  # fmt: skip
Squeezes = Literal["avg", "max", "std", "l2", "avg_std", "attention", "dct", "none"]
Norms = Literal["none", "channels", "rms", "group", "batch"]
Gating = Literal[
    "sigmoid", "tanh", "relu", "hard_sigmoid", "unit_sigmoid", "unit_tanh", "unit_hard_sigmoid", "residual_sigmoid",
    "gaussian", "add",
]  # fmt: skip
Activations = Literal["relu", "silu", "gelu", "leaky_relu", "hard_swish", "none"]
Slots = Literal["standard", "pre", "post", "identity", "inner"]
if TYPE_CHECKING:  # for completion in editors; at run time the spec checks the names itself
    Variant: TypeAlias = Variants
    Squeeze: TypeAlias = Squeezes
    Gate: TypeAlias = Gating
    Activation: TypeAlias = Activations
    Slot: TypeAlias = Slots
    Norm: TypeAlias = Norms

    class Function(Protocol):
        """A function in place of a name; it can be compared with a name."""

        def __call__(self, *args: Any, **kwargs: Any) -> object: ...

        def __eq__(self, other: object) -> bool: ...
else:
    Variant = Squeeze = Gate = Activation = Slot = Norm = str
    Function = Callable[..., object]

Widths = Callable[[int, int, int], tuple[int, ...]]
"""`(C, h, m) -> (C, ..., C)`: the widths of an excitation from its channels and its two hidden widths."""

Ratios = int | tuple[int | tuple[int, ...], ...]
"""One ratio, one for each stage, or for a stage one for each of its blocks: `16`, `(8, 2, 16)`, `((8, 4), 2, 16)`."""

VARIANTS: Mapping[str, Widths] = {
    "standard": lambda C, h, m: (C, h, C),
    "slow_squeeze": lambda C, h, m: (C, m, h, C),
    "slow_excite": lambda C, h, m: (C, h, m, C),
    "slow_both": lambda C, h, m: (C, m, h, m, C),
    "bump": lambda C, h, m: (C, h, h, C),
    "bump_conv": lambda C, h, m: (C, h, h, C),
    "direct": lambda C, h, m: (C, C),
    "conv": lambda C, h, m: (C, C),
    "channelwise": lambda C, h, m: (C, C),
    "channelwise_both": lambda C, h, m: (C, C, C),
    "none": lambda C, h, m: (C, C),
}
SPARSE = ("conv", "channelwise", "channelwise_both", "none")
"""Variants whose layers are not full matrices: a convolution over the channels, one number for each, no layer."""

WITHOUT_RATIO = ("direct", *SPARSE)
PAIRED = ("conv", "channelwise", "channelwise_both")
"""Variants that combine two numbers for each channel."""

MAP_KERNELS: Mapping[str, tuple[int, ...]] = {"bump_conv": (1, 3)}
"""Kernel sizes of the leading layers that act on the map, before the squeeze (bump as Figure 1 draws it)."""

SLOW_RULES: Mapping[str, Callable[[int, int, int], int]] = {
    "half_ratio": lambda C, h, r: C // max(1, r // 2),
    "half_size": lambda C, h, r: C // 2,
    "geometric": lambda C, h, r: round(math.sqrt(C * h)),
    "midpoint": lambda C, h, r: (C + h) // 2,
}
ROUNDINGS: Mapping[str, Callable[[int, int], int]] = {
    "exact": lambda C, r: C // r,
    "timm": lambda C, r: max(8, int(C / r + 4) // 8 * 8),
    "mmlab": lambda C, r: _at_least_nine_tenths(C // r),
}

SQUEEZE_NAMES: tuple[str, ...] = get_args(Squeezes)
GATE_NAMES: tuple[str, ...] = get_args(Gating)
ACTIVATION_NAMES: tuple[str, ...] = get_args(Activations)
SLOTS: tuple[str, ...] = get_args(Slots)
NORM_NAMES: tuple[str, ...] = get_args(Norms)
NAMES: Mapping[str, Collection[str]] = {
    "variant": VARIANTS,
    "squeeze": SQUEEZE_NAMES,
    "gate": GATE_NAMES,
    "activation": ACTIVATION_NAMES,
    "slot": SLOTS,
    "slow_rule": SLOW_RULES,
    "rounding": ROUNDINGS,
    "norm": NORM_NAMES,
}
"""The names that each field of a spec may have."""


def _at_least_nine_tenths(width: int) -> int:
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


@by_name
@dataclass(frozen=True, kw_only=True)
class SESpec:
    """The design of a squeeze-and-excitation block and its place in a network: hashable values, checked on creation.

    The published kinds of channel attention are such designs (`SESpec.kind`). A callable in place of a name (`variant`,
    `squeeze`, `gate`, `activation`) is used as it is; such a spec works in Python but cannot be written to a study.

    Attributes:
        variant: widths of the excitation, a name or a function `(C, h, m) -> widths`, e.g. `lambda C, h, m: (C, h, C)`.
            Besides those of the papers: `direct` is one layer from C to C, `conv` a convolution over the channels,
            `none` has no layer, `channelwise` scales and shifts each channel, `channelwise_both` scales it also before
            the norm.
        reduction: the ratio `r`, one for all stages or one for each stage: `(8, 2, 16)`. Instead of one ratio a stage
            can have one for each of its blocks, in the order of its units: `((8, 8, 4), 2, 16)`.
        squeeze: statistic of each channel: `avg`, `max`, `std`, `l2`, `avg_std` (both, for a variant that combines
            them), `attention` (an average with learned weights of positions), `dct` (16 frequencies), or `none` (the
            excitation then acts at every position), or `x -> descriptor`. Several, as `("avg", "max")`, pass the same
            layers; their logits are added.
        norm: what normalises the input of the last layer, before the activation: `channels` (standardised over the
            channels), `rms` (divided by their root mean square), `group` (standardised in groups of channels), `batch`
            (over the images). With an activation it has a scale and a shift of its own.
        gate: the function that ends the excitation; the `unit_` gates are exactly 1 at 0, `residual_sigmoid` is 1 +
            sigmoid (x + x*s), `gaussian` is exp(-z^2 / 8), `add` adds the logits to the map (x + z). Or a function of
            the logits.
        activation: activation between the layers of the excitation; with `none` successive layers are one linear map.
        bias: whether the layers have biases. The official weights, timm and torchvision have them, the papers'
            ablations do not.
        slot: position in a residual unit: `standard`, `pre`, `post`, `identity`, or `inner` (after the spatial
            convolution).
        stages: stages that get a block, counted from 1 (the paper's conv2_x is 1); empty means all.
        slow_rule: width `m` of the slow variants: `half_ratio` C // (r // 2), `half_size` C // 2, `geometric` sqrt(C *
            h), `midpoint` (C + h) // 2.
        rounding: hidden width for a ratio: `exact` max(1, C // r), or multiples of 8 as in `timm` and `mmlab`.

    Raises:
        SpecError: if a name is unknown, a value is out of range, or the squeeze does not fit the variant.

    Source:
        Hu et al., arXiv:1709.01507; variations: Mahendran, arXiv:2304.06502, whose text leaves the
        widths of the slow layers open (`slow_rule`).

    Example:
        >>> SESpec(variant="slow_both", reduction=16).widths(64)
        (64, 8, 4, 8, 64)
    """

    variant: Variant | Widths = "standard"
    reduction: Ratios = 16
    squeeze: Squeeze | Function | tuple[Squeeze | Function, ...] = "avg"
    gate: Gate | Function = "sigmoid"
    activation: Activation | Function = "relu"
    bias: bool = True
    slot: Slot = "standard"
    stages: tuple[int, ...] = ()
    slow_rule: str = "half_ratio"
    rounding: str = "exact"
    norm: Norm = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "squeeze", _squeezes(self.squeeze, self.variant))
        for name, known in NAMES.items():
            if name == "squeeze":
                continue
            value = getattr(self, name)
            if callable(value) and name in ("variant", "gate", "activation"):
                continue
            if not isinstance(value, str) or value not in known:
                raise unknown(name, value, known)
        if not isinstance(self.bias, bool):
            raise SpecError(f"bias = {self.bias!r} is not possible; give true or false.")
        object.__setattr__(self, "reduction", _ratios(self.reduction))
        object.__setattr__(self, "stages", _stages(self.stages))

    @classmethod
    def kind(cls, name: str) -> "SESpec":
        """Return the design of a published kind of channel attention: `se`, `eca`, `srm`, ...

        Raises:
            SpecError: if the kind is unknown.

        Example:
            >>> SESpec.kind("eca") == SESpec(variant="conv", bias=False)
            True
        """
        if name not in KINDS:
            raise unknown("kind", name, KINDS)
        return cls(**cast("dict[str, Any]", KINDS[name].fields))

    @classmethod
    def parse(cls, text: str) -> "SESpec":
        """Parse a design in words, in the notation of the command line or of `str(spec)`.

        Args:
            text: a variant or a kind and what differs from it: `standard`, `eca`, `slow_both:reduction=8,bias=false`,
                or `slow_both r=8 no-bias`. Ratios of stages are joined by dashes and those of the blocks of a stage by
                dots, `standard:reduction=8.8.4-2-16`; several squeezes by dashes, `squeeze=avg-max`.

        Raises:
            SpecError: if a name is unknown or a value is not valid.

        Example:
            >>> SESpec.parse("slow_both:reduction=8-2,bias=false")
            SESpec(variant='slow_both', reduction=(8, 2), squeeze='avg', gate='sigmoid', activation='relu', \
bias=False, slot='standard', stages=(), slow_rule='half_ratio', rounding='exact', norm='none')
        """
        if not isinstance(text, str):
            raise SpecError(f"{text!r} is not a design in words; write e.g. 'standard:reduction=8'.")
        words = read_words(text, fields=[field.name for field in fields(cls)])
        name = str(words["variant"])
        if words == {"variant": "none"}:
            raise SpecError(
                "'none' is not a design: plain has no blocks, ge has blocks without layers; write one of these."
            )
        if name not in VARIANTS and name not in KINDS:
            raise unknown("variant", name, (*VARIANTS, *KINDS))
        if name in KINDS:
            words = {**KINDS[name].fields, **{field: value for field, value in words.items() if field != "variant"}}
        return cls(**cast("dict[str, Any]", words))

    def widths(self, channels: int, *, stage: int = 1, unit: int = 1) -> tuple[int, ...]:
        """Return the widths of the excitation for a map of `channels` channels.

        Args:
            channels: channels of the map that is gated, at least 1.
            stage: stage whose ratio applies if there is one for each stage, from 1.
            unit: unit whose ratio applies if the stage has one for each block, from 1.

        Returns:
            `(channels, hidden, ..., channels)`, every width at least 1.

        Raises:
            SpecError: if the stage or unit has no ratio, or a custom variant returns invalid widths.
        """
        if not isinstance(channels, int) or channels < 1:
            raise SpecError(f"channels = {channels!r} is not a number of channels; give at least 1.")
        r = self.ratio(stage, unit)
        h = max(1, ROUNDINGS[self.rounding](channels, r))
        m = max(1, SLOW_RULES[self.slow_rule](channels, h, r))
        given = (VARIANTS[self.variant] if isinstance(self.variant, str) else self.variant)(channels, h, m)
        if not isinstance(given, Sequence):
            raise SpecError(
                f"variant gives a {type(given).__name__}; a function (C, h, m) returns the widths, e.g. (C, h, C). "
                "Layers of your own go to SqueezeExcite(..., excitation=module)."
            )
        widths = tuple(given)
        fit = len(widths) >= 2 and widths[0] == widths[-1] == channels
        if not fit or not all(isinstance(width, int) and width >= 1 for width in widths):
            raise SpecError(
                f"variant gives the widths {widths}; they start and end with {channels} and are whole numbers >= 1."
            )
        return widths

    def ratio(self, stage: int, unit: int = 1) -> int:
        """Return the reduction ratio of a unit of a stage, both counted from 1.

        Raises:
            SpecError: if the stage or unit has no ratio.
        """
        if isinstance(self.reduction, int):
            return self.reduction
        if not 1 <= stage <= len(self.reduction):
            raise SpecError(
                f"reduction = {self.reduction} names {len(self.reduction)} stages, stage {stage} is asked for; "
                f"give one ratio, or one for each stage."
            )
        ratios = self.reduction[stage - 1]
        if isinstance(ratios, int):
            return ratios
        if not 1 <= unit <= len(ratios):
            raise SpecError(
                f"reduction[{stage - 1}] = {ratios} names {len(ratios)} blocks, block {unit} of stage {stage} is asked "
                f"for; give one ratio, or one for each block."
            )
        return ratios[unit - 1]

    @property
    def map_kernels(self) -> tuple[int, ...]:
        """Kernel sizes of the leading layers that act on the map, before the squeeze."""
        return MAP_KERNELS.get(self.variant, ()) if isinstance(self.variant, str) else ()

    def but(self, **changes: object) -> "SESpec":
        """Return a copy of this spec with some fields changed, which are checked again."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def has_ratio(self) -> bool:
        """Whether the widths depend on the ratio."""
        return self.variant not in WITHOUT_RATIO

    @property
    def own_function(self) -> str:
        """The first field that holds a function of the caller, which a file cannot hold; empty if there is none."""
        for field in ("variant", "squeeze", "gate", "activation"):
            value = getattr(self, field)
            if any(callable(one) for one in (value if isinstance(value, tuple) else (value,))):
                return field
        return ""

    @property
    def numbers(self) -> int:
        """Numbers of the descriptor for each channel."""
        return 2 if self.squeeze == "avg_std" else 1

    @property
    def is_sparse(self) -> bool:
        """Whether the layers are not full matrices, see `SPARSE`."""
        return self.variant in SPARSE

    @property
    def kind_name(self) -> str:
        """Name of the published kind with this squeeze, variant and norm; empty if there is none."""
        return next(
            (
                name
                for name, kind in KINDS.items()
                if all(
                    getattr(self, field) == kind.fields.get(field, default)
                    for field, default in (("variant", "standard"), ("squeeze", "avg"), ("norm", "none"))
                )
            ),
            "",
        )

    def __str__(self) -> str:
        """Return the variant or kind, the ratio and what differs from it, e.g. `slow_both r=8-2-16 no-bias`."""
        kind = "" if self.kind_name == "se" else self.kind_name
        base = SESpec.kind(kind) if kind else SESpec(variant=self.variant)
        words = [kind or _name(self.variant)]
        if self.has_ratio or self.reduction != base.reduction:
            words.append(f"r={ratio_word(self.reduction)}")
        for field in ("squeeze", "norm", "gate", "activation", "slot"):
            value = getattr(self, field)
            if value != getattr(base, field):
                words.append(f"{field}={'-'.join(map(_name, value if isinstance(value, tuple) else (value,)))}")
        if self.bias != base.bias:
            words.append("bias=true" if self.bias else "no-bias")
        if self.stages:
            words.append("stages=" + ",".join(map(str, self.stages)))
        last = ((field, getattr(self, field)) for field in ("slow_rule", "rounding"))
        words += (f"{field}={value}" for field, value in last if value != getattr(base, field))
        return " ".join(words)


def _name(value: object) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)


def _squeezes(value: object, variant: object) -> object:
    """Return a squeeze, or several as a tuple; a list of one is that one.

    Raises:
        SpecError: if a name is unknown or repeated, several do not go together, or the variant does not take it.
    """
    several = tuple(value) if _is_list(value) else (value,)
    for one in several:
        if not callable(one) and (not isinstance(one, str) or one not in SQUEEZE_NAMES):
            raise unknown("squeeze", one, SQUEEZE_NAMES)
    if len(several) > 1 and (len(set(several)) < len(several) or {"none", "avg_std"} & set(several)):
        raise SpecError(f"squeeze = {shown(value)} does not go together; name each once, and avg_std and none alone.")
    if "avg_std" in several and variant not in PAIRED:
        raise SpecError(
            f"squeeze = 'avg_std' is two numbers a channel, which the variant {shown(variant)} does not combine; "
            f"choose one of: {', '.join(PAIRED)}, or squeeze = ['avg', 'std'] for two passes through the same layers."
        )
    return several if len(several) > 1 else several[0]


def _ratios(value: object) -> Ratios:
    if _is_ratio(value):
        return value
    if _is_list(value):
        stages = tuple(tuple(stage) if _is_list(stage) else stage for stage in value)
        if all(
            stage and all(map(_is_ratio, stage)) if isinstance(stage, tuple) else _is_ratio(stage) for stage in stages
        ):
            return stages
    raise SpecError(
        f"reduction = {shown(value)} is not a ratio; give one whole number >= 1 (at most 1,000,000), one for "
        f"each stage, or for a stage one for each of its blocks: [[8, 8, 4], 2, 16]."
    )


def _is_ratio(value: object) -> TypeGuard[int]:
    return value in RANGES["reduction"]


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0


def _stages(value: object) -> tuple[int, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        stages = tuple(value)
        if all(s in RANGES["stages"] for s in stages) and len(set(stages)) == len(stages):
            return stages
    raise SpecError(
        f"stages = {shown(value)} is not a list of stages; give different whole numbers from 1, or leave it out."
    )


def designs(se: object) -> Any:
    """Parse designs in words in an `se` argument; other values are returned unchanged.

    Args:
        se: `"standard"`, `"standard:reduction=8+standard:slot=pre"`, `"plain"`, True for the default design, False for
            none, or a list with designs in words.

    Returns:
        The `se` argument of a network: None, specs, or a function of the site.

    Raises:
        SpecError: if a design in words is not valid.

    Example:
        >>> [str(spec) for spec in designs("standard:reduction=8+bump:slot=pre")]
        ['standard r=8', 'bump r=16 slot=pre']
    """
    if isinstance(se, bool):
        return SESpec() if se else None
    if isinstance(se, str):
        return None if se == "plain" else tuple(map(SESpec.parse, se.split("+")))
    if isinstance(se, Sequence) and any(isinstance(one, str) for one in se):
        return tuple(spec for one in se for spec in (designs(one) or () if isinstance(one, str) else (one,)))
    return se


def design_name(specs: Iterable[SESpec]) -> str:
    """Return a design in words: `plain`, `slow_both r=16`, `standard r=8 + standard r=8 slot=pre`."""
    return " + ".join(map(str, specs)) or "plain"
