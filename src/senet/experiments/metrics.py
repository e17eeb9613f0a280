"""What papers print in a table of results, and how it is read from ours."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["METRICS", "Metric"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a paper prints for a row.

    Attributes:
        heading: of its column.
        kind: `measured` by testing, `counted` from the network, or a `gain`, measured minus that of the baseline.
        digits: after the point.
        higher: whether more of it is better.
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
"""By the name it has in a study. The papers' FLOPs are multiply-adds."""
