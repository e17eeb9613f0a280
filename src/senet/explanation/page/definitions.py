"""The statistics of a block in words: what each is computed from, and how it reads."""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["DEFINITIONS", "Definition"]


class Definition(NamedTuple):
    """A statistic as the page and its readers name it."""

    label: str
    definition: str
    reading: str = ""
    scale: str = "share"
    """`share` for a number from 0 to 1, `free` for one whose largest value depends on the network."""


DEFINITIONS: Mapping[str, Definition] = {
    "class_share": Definition(
        "class share",
        "Share of the gates' variance over images that the class explains, summed over channels, minus what chance "
        "would explain: (SSB - (K-1) MSW) / SST. p by permutations of the labels.",
        "0: the gate knows no class",
    ),
    "class_share_eta2": Definition(
        "class share with its chance level", "SSB / SST: the class share before the chance level is subtracted."
    ),
    "varies": Definition(
        "varies",
        "Relative error of the block's output when each gate is replaced by the constant with the least squared error; "
        "the number by which `fold` decides.",
        "0: the block can be folded",
    ),
    "identity": Definition(
        "distance from identity",
        "Relative change of the block's output when every gate is 1: sqrt(sum e (s-1)^2 / sum e), "
        "with the energy e of the map.",
        "0: the block does nothing",
    ),
    "identity_scaled": Definition(
        "distance from a scalar",
        "The same with the best single factor in place of 1.",
        "0: the block multiplies all channels alike",
    ),
    "open": Definition("open", "Share of gates (images x channels) above 0.98 of the gate's range."),
    "shut": Definition("shut", "Share of gates (images x channels) below 0.02 of the gate's range."),
    "half": Definition("half", "Share of gates within 0.01 of the middle of the gate's range.", "1: all logits are 0"),
    "stuck": Definition(
        "stuck",
        "Share of channels whose gates stay within 0.01 of the gate's range for 99 % of the images.",
    ),
    "mean": Definition("mean", "Mean gate over images and channels.", scale="free"),
    "sd": Definition(
        "standard deviation", "Standard deviation of a gate over images, root mean square over channels.", scale="free"
    ),
    "class_sd": Definition(
        "standard deviation of class means",
        "Standard deviation of the classes' mean gates, root mean square over channels.",
        scale="free",
    ),
    "hidden_dead": Definition(
        "hidden units dead", "Share of hidden units that are active on less than 0.1 % of the images, by layer."
    ),
    "hidden_always_on": Definition(
        "hidden units always on", "Share of hidden units that are active on more than 99.9 % of the images, by layer."
    ),
    "used_rank": Definition(
        "used rank",
        "exp of the entropy of the eigenvalues of the logits' covariance: directions in which the logits vary.",
        "far below the hidden width: a larger ratio will do",
        scale="free",
    ),
    "selectivity.gates": Definition(
        "class selectivity of the gates",
        "Mean over channels of (largest class mean - mean of the others) / (their sum).",
        "1: each channel opens for one class",
    ),
    "selectivity.before": Definition("class selectivity before", "The same of the map that enters the block."),
    "selectivity.after": Definition("class selectivity after", "The same of the map that leaves the block."),
    "information": Definition(
        "information",
        "Mutual information of the class and a channel's gate in 16 quantile bins, with Miller and Madow's correction, "
        "less its mean over permutations of the labels [bits]; mean over channels.",
        scale="free",
    ),
    "context.own": Definition(
        "context: own channel",
        "Share of the logits' variance (R^2) that a linear function of the channel's own squeeze explains.",
        "near 1: a channelwise kind will do",
    ),
    "context.near3": Definition("context: 3 neighbours", "R^2 from the squeezes of 3 neighbouring channels."),
    "context.near5": Definition("context: 5 neighbours", "R^2 from the squeezes of 5 neighbouring channels."),
    "context.near9": Definition(
        "context: 9 neighbours", "R^2 from the squeezes of 9 neighbouring channels.", "near 1: ECA will do"
    ),
    "context.all": Definition("context: all channels", "R^2 from the squeezes of all channels."),
}
"""By the dotted place of the statistic in a block of `explain.json`, in the order of the page."""
