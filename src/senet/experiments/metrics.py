"""The metrics of the papers' tables."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["METRICS", "Metric"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a paper reports for a row.

    Attributes:
        heading: heading of its column.
        kind: `measured` by testing, `counted` in the network, or a `gain`, measured minus that of the baseline.
        digits: number of decimals.
        higher: whether more is better.
    """

    heading: str
    kind: str = "measured"
    digits: int = 2
    higher: bool = True


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(heading="top-1 [%]"),
    "accuracy5": Metric(heading="top-5 [%]"),
    "top1_error": Metric(heading="top-1 error [%]", higher=False),
    "top5_error": Metric(heading="top-5 error [%]", higher=False),
    "loss": Metric(heading="test loss", digits=4, higher=False),
    "params_m": Metric(heading="params [M]", kind="counted", digits=1, higher=False),
    "gflops": Metric(heading="MACs [G]", kind="counted", higher=False),
    "mflops": Metric(heading="MACs [M]", kind="counted", digits=0, higher=False),
    "top1_gain": Metric(heading="top-1 gain", kind="gain"),
    "top5_gain": Metric(heading="top-5 gain", kind="gain"),
}
"""Metrics by their names in studies. The papers' FLOPs are multiply-adds."""
