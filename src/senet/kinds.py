"""The published kinds of channel attention, as values of the fields of `SESpec`, with formulas and sources.

In formulas `avg`, `max`, `std`, `l2` are statistics of a channel over its positions; `W` are full matrices, `a`, `g`,
`b` one number for each channel, `k * z` is a convolution over the channels, `C`, `r` are the channels and the ratio.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from types import MappingProxyType

__all__ = ["KINDS", "OUTSIDE", "Kind", "kind_records"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One published kind.

    Attributes:
        fields: the fields of `SESpec` that differ from its defaults.
        formula: the weight `s` of every channel in `y = s x`.
        params: its number of parameters, for channels C and ratio r.
        params_at_256: parameters of one block at C = 256, r = 16 [1].
        source: first authors, year and identifier of the paper.
        note: what it cannot do, or how it differs from its paper; empty for nothing.
    """

    fields: Mapping[str, object]
    formula: str
    params: str
    params_at_256: int
    source: str
    note: str = ""


def _kind(formula: str, params: str, params_at_256: int, source: str, note: str = "", **fields: object) -> Kind:
    return Kind(
        fields=MappingProxyType(fields),
        formula=formula,
        params=params,
        params_at_256=params_at_256,
        source=source,
        note=note,
    )


NOT_PRESERVING = "has no layer that can start at zero: insert changes the output (preserve=False)"

KINDS: Mapping[str, Kind] = {
    "se": _kind("sigmoid(W2 relu(W1 avg))", "2C²/r + C/r + C", 8_464, "Hu et al. 2018, arXiv:1709.01507"),
    "cbam": _kind(
        "sigmoid(W2 relu(W1 avg) + W2 relu(W1 max))",
        "2C²/r + C/r + C",
        8_464,
        "Woo et al. 2018, arXiv:1807.06521",
        "the channel part; spatial attention is another block",
        squeeze=("avg", "max"),
    ),
    "eca": _kind(
        "sigmoid(k * avg), k = odd(log2(C)/2 + 1/2)",
        "k",
        5,
        "Wang et al. 2020, arXiv:1910.03151",
        variant="conv",
        bias=False,
    ),
    "ese": _kind(
        "hard_sigmoid(W avg)",
        "C² + C",
        65_792,
        "Lee and Park 2020, arXiv:1911.06667",
        variant="direct",
        gate="hard_sigmoid",
    ),
    "ge": _kind(
        "sigmoid(avg)",
        "0",
        0,
        "Hu et al. 2018, arXiv:1810.12348",
        f"theta-minus with global extent; {NOT_PRESERVING}",
        variant="none",
    ),
    "srm": _kind(
        "sigmoid(batch_norm(a1 avg + a2 std))",
        "4C",
        1_024,
        "Lee et al. 2019, arXiv:1903.10829",
        variant="channelwise_both",
        squeeze="avg_std",
        norm="batch",
        activation="none",
    ),
    "gct": _kind(
        "1 + tanh(g rms_norm(a l2) + b)",
        "3C",
        768,
        "Yang et al. 2020, arXiv:1909.11519",
        variant="channelwise_both",
        squeeze="l2",
        norm="rms",
        activation="none",
        gate="unit_tanh",
    ),
    "gct_gaussian": _kind(
        "exp(-q²/8), q = avg standardised over the channels",
        "0",
        0,
        "Ruan et al. 2021, Gaussian Context Transformer, CVPR",
        NOT_PRESERVING,
        variant="none",
        norm="channels",
        gate="gaussian",
    ),
    "lct": _kind(
        "sigmoid(g group_norm(avg) + b)",
        "2C",
        512,
        "Ruan et al. 2019, arXiv:1909.03834",
        variant="channelwise",
        norm="group",
    ),
    "gc": _kind(
        "sigmoid(W2 relu(layer_norm(W1 attention))), or added: gate=add",
        "2C²/r + 3C/r + 2C",
        8_752,
        "Cao et al. 2019, arXiv:1904.11492",
        "the paper adds instead of multiplying: gc:gate=add",
        squeeze="attention",
        norm="channels",
    ),
    "fca": _kind(
        "sigmoid(W2 relu(W1 dct))",
        "2C²/r + C/r + C",
        8_464,
        "Qin et al. 2021, arXiv:2012.11879",
        "the 16 lowest frequencies, one for each sixteenth of the channels",
        squeeze="dct",
    ),
}
"""The kinds by name; `SESpec.kind(name)` is the design."""


def kind_records(pattern: str = "*") -> list[dict[str, object]]:
    """Return a record of each kind whose name matches a pattern with `*` and `?`, in the order of `KINDS`.

    Example:
        >>> kind_records("eca")[0]["params at C = 256"]
        5
    """
    return [
        {
            "kind": name,
            "weight of a channel": kind.formula,
            "params at C = 256": kind.params_at_256,
            "parameters": kind.params,
            "source": kind.source,
            "note": kind.note,
        }
        for name, kind in KINDS.items()
        if fnmatch(name, pattern)
    ]


OUTSIDE: Mapping[str, str] = {
    "spatial attention (CBAM's second half, BAM, coordinate, triplet)": "weights positions, not only channels",
    "selective kernels, split attention": "weights branches against each other",
    "DIANet": "blocks share a state",
    "SimAM": "computes an energy at every position",
}
"""What is not a point of `SESpec`, and why."""
