"""What is known of one block. Letters in shapes: c channels, k classes, g groups, t places."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import nan
from typing import Any

from jaxtyping import Float64
from torch import Tensor

from senet.explanation.context import Context
from senet.explanation.extremes import Extremes
from senet.explanation.interventions import Effect
from senet.printed import Printed

__all__ = ["BlockExplanation", "Condition", "Diagnosis", "GateCurve", "Selectivity", "Statistics"]


@dataclass(frozen=True)
class Diagnosis:
    """One sentence about a block.

    Attributes:
        code: its name, e.g. `half` or `class_blind`.
        text: the sentence.
        severity: `defect` (training went wrong there), `advice` (something may be saved), or `note`.
    """

    code: str
    text: str
    severity: str = "note"


@dataclass(frozen=True)
class Selectivity:
    """Class selectivity, mean over channels, of the gates and of the map before and after the block [1]."""

    gates: float = nan
    before: float = nan
    after: float = nan


@dataclass(frozen=True, eq=False)
class Condition:
    """How a block depends on a condition of the images.

    Attributes:
        share: share of the variance of the gates that the groups explain, as `class_share`.
        p: its p-value by permutations.
        groups: names of the groups.
        counts: images of each group.
        mean: mean gate of every group `(g, c)`.
    """

    share: float
    p: float
    groups: tuple[str, ...]
    counts: tuple[int, ...]
    mean: Float64[Tensor, "g c"]


@dataclass(frozen=True)
class GateCurve:
    """Top-1 accuracy [%] with a share of the channels of each image set to zero.

    Attributes:
        shares: shares of the channels.
        rising: those with the smallest gates first.
        falling: those with the largest gates first.
        random: in a random order.
        images: number of images.
    """

    shares: tuple[float, ...]
    rising: tuple[float, ...]
    falling: tuple[float, ...]
    random: tuple[float, ...]
    images: int


@dataclass(frozen=True, kw_only=True, repr=False)
class Statistics(Printed):
    """The statistics of one block; NaN stands for what cannot be computed.

    Attributes:
        class_share: share of the variance of the gates over images that the class explains, less its chance level [1].
        class_share_interval: its 95 % interval; None if a class has fewer than two images.
        class_share_eta2: the share with its chance level [1].
        eta2_chance: what `class_share_eta2` is on average if the class explains nothing [1].
        class_share_p: share of 200 permutations of the labels with at least this class share [1].
        varies: relative error of the output of the block with the best constants, the number of `fold` [1].
        identity: distance of the gates from 1, root mean square weighted by the energy of the map [1].
        identity_scaled: the same from the best number in place of 1 [1].
        open: share of gates above 98 % of their range [1].
        shut: share of gates below 2 % of their range [1].
        half: share of gates within 1 % of the middle of their range [1].
        stuck: share of channels whose gates stay within 1 % of their range for 99 % of the images [1].
        mean: mean gate over images and channels [1].
        sd: standard deviation of the gates over images, root mean square over channels [1].
        class_sd: standard deviation of the class means, root mean square over channels [1].
        hidden_widths: units of each hidden layer.
        hidden_dead: share of the units of each hidden layer that fire on less than 0.1 % of the images [1]; empty where
            the activation is never exactly 0, such as SiLU.
        hidden_always_on: share of those that fire on more than 99.9 % [1]; empty where logits would not be linear then.
        used_rank: effective rank of the logits.
        rank_limit: width of the narrowest hidden layer, the largest rank of linear logits; the channels without one.
        selectivity: class selectivity.
        information: mutual information of class and gate less its chance level, mean over channels [bits].
        information_max: the same of the channel with most.
        context: which channels the logits depend on.
    """

    class_share: float = nan
    class_share_interval: tuple[float, float] | None = None
    class_share_eta2: float = nan
    eta2_chance: float = nan
    class_share_p: float = nan
    varies: float = nan
    identity: float = nan
    identity_scaled: float = nan
    open: float = nan
    shut: float = nan
    half: float = nan
    stuck: float = nan
    mean: float = nan
    sd: float = nan
    class_sd: float = nan
    hidden_widths: tuple[int, ...] = ()
    hidden_dead: tuple[float, ...] = ()
    hidden_always_on: tuple[float, ...] = ()
    used_rank: float = nan
    rank_limit: int = 0
    selectivity: Selectivity = Selectivity()
    information: float = nan
    information_max: float = nan
    context: Context = Context()  # noqa: RUF009 -- a frozen value


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BlockExplanation(Statistics):
    """One block: what it is, its statistics, the interventions, the diagnosis, and its arrays.

    Attributes:
        name: path of the block in the network.
        kind: the library that defines its class.
        stage: number of its stage, as `SESpec.stages` counts them; 0 if it is not known.
        channels: channels of the map it gates.
        parameters: parameters of the block.
        macs: multiply-adds of its layers for one image.
        time_percent: rough share of the network's running time on this machine [%].
        gate: name of its gate function; empty if unknown.
        gate_range: lower and upper end of the gate; None for a gate without an upper end.
        own_logits: whether its logits were read from its last layer, not computed from the gates.
        importance: effect of each intervention by name.
        gate_curve: accuracy with channels set to zero; None if not measured.
        conditions: dependence on each condition by name.
        diagnosis: sentences about the block.
        by_channel: vectors `(c,)` by name: `mean`, `std`, `low`, `high` (0.5 % and 99.5 % of the images),
            `information`, `selectivity_gate`, `class_share`, `squeeze_mean`, `squeeze_std`, `missing` (share of images
            whose map is zero).
        class_mean: mean gate of each class `(k, c)`.
        class_std: standard deviation of the gate within each class `(k, c)`.
        logit_mean: mean logit of each class `(k, c)`.
        logit_std: standard deviation of the logit within each class `(k, c)`.
        histogram: `edges` and `counts` of the gates.
        squeeze_curve: the gate over the normalised squeeze, see `senet.explanation.spread.squeeze_curve`.
        extremes: the images that open and shut each channel most.
        left_out: the class share with each group of images left out, for intervals of differences.
    """

    name: str
    kind: str
    stage: int
    channels: int
    parameters: int
    macs: int
    time_percent: float
    gate: str
    gate_range: tuple[float, float | None]
    own_logits: bool
    importance: Mapping[str, Effect] = field(default_factory=dict)
    gate_curve: GateCurve | None = None
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    diagnosis: tuple[Diagnosis, ...] = ()
    by_channel: Mapping[str, Float64[Tensor, " c"]]
    class_mean: Float64[Tensor, "k c"]
    class_std: Float64[Tensor, "k c"]
    logit_mean: Float64[Tensor, "k c"]
    logit_std: Float64[Tensor, "k c"]
    histogram: Mapping[str, Any]
    squeeze_curve: Mapping[str, list[float]]
    extremes: Extremes
    left_out: Float64[Tensor, " g"]

    def __str__(self) -> str:
        """Return the scalar statistics and the diagnosis, one fact for each line."""
        numbers = {one.name: getattr(self, one.name) for one in fields(Statistics)}
        lines = [f"{name}: {_said(value)}" for name, value in numbers.items()]
        return "\n".join([self.name, *(f"  {line}" for line in lines), *(f"- {one.text}" for one in self.diagnosis)])


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"({', '.join(map(_said, value))})" if isinstance(value, tuple) else str(value)
