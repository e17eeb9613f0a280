"""Designs for hypothesis: all values of all fields, where they go together."""

from typing import Any

from hypothesis import strategies as st

from senet.spec import (
    ACTIVATION_NAMES,
    GATE_NAMES,
    NORM_NAMES,
    PAIRED,
    ROUNDINGS,
    SLOTS,
    SLOW_RULES,
    SQUEEZE_NAMES,
    VARIANTS,
    SESpec,
)

__all__ = ["FIELDS", "SPECS"]

RATIO = st.integers(1, 512)
SINGLE = st.sampled_from([name for name in SQUEEZE_NAMES if name != "avg_std"])
SEVERAL = st.lists(
    st.sampled_from(["avg", "max", "std", "l2", "attention", "dct"]), min_size=2, max_size=3, unique=True
).map(tuple)


def fields(variant: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw the fields of designs with this variant; most are left at their defaults now and then."""
    return st.fixed_dictionaries(
        {"variant": st.just(variant)},
        optional={
            "reduction": RATIO
            | st.lists(RATIO | st.lists(RATIO, min_size=1, max_size=3).map(tuple), min_size=1, max_size=4).map(tuple),
            "squeeze": SINGLE | SEVERAL | (st.just("avg_std") if variant in PAIRED else st.nothing()),
            "gate": st.sampled_from(GATE_NAMES),
            "activation": st.sampled_from(ACTIVATION_NAMES),
            "bias": st.booleans(),
            "slot": st.sampled_from(SLOTS),
            "stages": st.lists(st.integers(1, 9), unique=True, max_size=4).map(tuple),
            "slow_rule": st.sampled_from(sorted(SLOW_RULES)),
            "rounding": st.sampled_from(sorted(ROUNDINGS)),
            "norm": st.sampled_from(NORM_NAMES),
        },
    )


FIELDS = st.sampled_from(sorted(VARIANTS)).flatmap(fields)
SPECS = FIELDS.map(lambda values: SESpec(**values))
