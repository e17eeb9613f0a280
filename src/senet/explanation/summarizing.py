"""From the sums and the sample of a block to its statistics."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite, nan

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from senet.explanation.class_share import interval, jackknife, p_value, share_by_channel, share_of
from senet.explanation.class_sums import Moments
from senet.explanation.conditions import Groups
from senet.explanation.context import context
from senet.explanation.excitation import units_of
from senet.explanation.gathering import BlockSums, Gathered
from senet.explanation.information import information, information_by_chance, selectivity
from senet.explanation.spread import histogram, quantiles, squeeze_curve, used_rank
from senet.explanation.values import BlockExplanation, Condition, Selectivity
from senet.nn import SqueezeExcite
from senet.surgery.finding.find import Found
from senet.surgery.gates.saturation import Range, stuck

__all__ = ["Place", "summarize"]

ROUNDING = 1e-3  # of a gate that is measured by a division
RARELY, ALWAYS = 0.001, 0.999  # shares of the images on which a unit fires


class Place:
    """What a block is and where it runs: name, stage, parameters, multiply-adds and time."""

    def __init__(self, found: Found, block: nn.Module, *, stage: int, macs: int, time_percent: float) -> None:
        self.found, self.block = found, block
        self.stage, self.macs, self.time_percent = stage, macs, time_percent

    @property
    def gate(self) -> str:
        """Name of the gate function; empty if unknown."""
        named = isinstance(self.block, SqueezeExcite) and isinstance(self.block.spec.gate, str)
        return str(self.block.spec.gate) if named else ""  # type: ignore[union-attr]


def summarize(name: str, place: Place, all_of: Gathered, conditions: Mapping[str, Groups]) -> BlockExplanation:
    """Return the statistics of a block.

    Args:
        name: of the block.
        place: what it is and where it runs.
        all_of: the result of the first pass.
        conditions: groups of all images by each condition.
    """
    sums, sample = all_of.sums[name], all_of.sample
    gate, logits, squeeze = sample[name], sample[f"{name}/logits"], sample[f"{name}/squeeze"]
    fold, classes = sums.fold, sums.classes
    mean, std = classes.gates.overall()
    low, high = quantiles(gate)
    ends = _ends(sums)
    opened, shut, half = replace(sums.saturation, range=ends).shares()
    squeeze_mean, squeeze_std = classes.squeeze.overall()
    energy = float(fold.energy.sum()) or nan
    scale = float(fold.product.sum()) / energy
    channels = place.found.channels
    widths = tuple(len(fires) for fires in sums.fires)
    can_die, is_linear = units_of(place.block)
    plain = BlockExplanation(
        name=name,
        kind=place.found.kind,
        stage=place.stage,
        channels=channels,
        parameters=sum(parameter.numel() for parameter in place.block.parameters()),
        macs=place.macs,
        time_percent=place.time_percent,
        gate=place.gate,
        gate_range=ends,
        own_logits=sums.own_logits,
        varies=fold.variation(),
        identity=_distance(fold.output.sum() - 2 * fold.product.sum() + fold.energy.sum(), energy),
        identity_scaled=_distance(fold.output.sum() - scale * fold.product.sum(), energy),
        open=opened,
        shut=shut,
        half=half,
        stuck=stuck(low, high, ends),
        mean=float(mean.nanmean()),
        sd=float(std.square().nanmean().sqrt()),
        hidden_widths=widths,
        hidden_dead=tuple(_share(fires < RARELY * sums.images) for fires in sums.fires) if can_die else (),
        hidden_always_on=tuple(_share(fires > ALWAYS * sums.images) for fires in sums.fires) if is_linear else (),
        used_rank=used_rank(logits),
        rank_limit=min((*widths, channels)),
        context=context(squeeze, logits),
        conditions={name: _condition(gate, groups, sample.index) for name, groups in conditions.items()},
        by_channel={
            "mean": mean, "std": std, "low": low, "high": high,
            "squeeze_mean": squeeze_mean, "squeeze_std": squeeze_std,
            "missing": 1 - fold.images / max(1, sums.images),
        },
        class_mean=classes.gates.mean,
        class_std=classes.gates.std,
        logit_mean=classes.logits.mean,
        logit_std=classes.logits.std,
        histogram=histogram(gate, ends),
        squeeze_curve=squeeze_curve(squeeze, gate),
        extremes=sums.extremes,
        left_out=torch.zeros(0, dtype=torch.float64),
    )  # fmt: skip
    return _with_classes(plain, sums, gate, all_of.rows[sample.index]) if len(all_of.rows) else plain


def _with_classes(
    plain: BlockExplanation, sums: BlockSums, gate: Tensor, rows: Int64[Tensor, " n"]
) -> BlockExplanation:
    """Add the statistics that need classes.

    Args:
        plain: the block without them.
        sums: its sums.
        gate: gates of the sample `(n, c)`.
        rows: classes of the sample.
    """
    classes = sums.classes
    share, left_out = share_of(classes.gates), jackknife(gate, rows)
    bits = information(gate, rows) - information_by_chance(gate, rows)
    selective = selectivity(classes.gates.mean.abs())
    return replace(
        plain,
        class_share=share.value,
        class_share_interval=interval(share.value, left_out),
        class_share_eta2=share.eta2,
        eta2_chance=share.chance,
        class_share_p=p_value(gate, rows),
        class_sd=float(_spread(classes.gates.mean).square().nanmean().sqrt()),
        selectivity=Selectivity(
            gates=float(selective.nanmean()),
            before=float(selectivity(classes.before.mean).nanmean()),
            after=float(selectivity(classes.after.mean).nanmean()),
        ),
        information=float(bits.mean()),
        information_max=float(bits.max()),
        by_channel={
            **plain.by_channel,
            "information": bits,
            "selectivity_gate": selective,
            "class_share": share_by_channel(classes.gates),
        },
        left_out=left_out,
    )


def _spread(mean: Tensor) -> Tensor:
    """Return the population standard deviation of the class means of every channel `(c,)`."""
    return (mean - mean.nanmean(0)).square().nanmean(0).sqrt()


def _distance(lost: Tensor, energy: float) -> float:
    return float((lost.clamp(min=0) / energy).sqrt())


def _share(which: Tensor) -> float:
    return float(which.double().mean())


def _condition(gate: Tensor, groups: Groups, index: Int64[Tensor, " m"]) -> Condition:
    rows = groups.rows[index]
    own, values, number = rows[rows >= 0], gate[rows >= 0].double(), len(groups.labels)
    sums = Moments(gate.shape[1])
    sums.add(own, values, number)
    known = number > 1 and len(own) > number
    return Condition(
        share=share_of(sums).value if known else nan,
        p=p_value(values, own) if known else nan,
        groups=groups.labels,
        counts=tuple(torch.bincount(own, minlength=number).tolist()),
        mean=sums.mean,
    )


def _ends(sums: BlockSums) -> Range:
    """Return the range of the gate; without an upper end if gates lie outside of the assumed one."""
    low, high = sums.saturation.range
    most, least = float(sums.extremes.open.value.max()), float(sums.extremes.shut.value.min())
    outside = high is not None and (most > high + ROUNDING or (isfinite(least) and least < low - ROUNDING))
    return (min(low, least), None) if outside else (low, high)
