"""The designs, the seeds and the study of a comparison, as a caller words them."""

from collections.abc import Mapping, Sequence
from typing import Any

from senet.bounds import check
from senet.errors import SpecError, shown
from senet.experiments.decoding import se_designs
from senet.experiments.seed_plan import SeedPlan
from senet.experiments.study import Row, Study
from senet.spec import SESpec, design_name

__all__ = ["AUTO", "Designs", "named_designs", "planned", "study_of"]

Designs = Sequence[str | SESpec | Sequence[SESpec]] | Mapping[str, Any]

AUTO = "auto"
"""Seeds are added, look by look, until every design is decided."""


def named_designs(designs: Sequence[Any], baseline: str) -> dict[str, tuple[SESpec, ...]]:
    """Return the specs of every design by its name, the baseline first.

    Raises:
        SpecError: if they are not designs, or nothing is to be compared with the baseline.
    """
    if isinstance(designs, str | SESpec):
        designs = [designs]
    if not isinstance(designs, Sequence):
        raise SpecError(f"designs = {shown(designs)} is not a list of designs, e.g. ['standard', 'slow_both'].")
    first = se_designs(baseline, place="baseline")
    named = {baseline: first}
    for number, design in enumerate(designs):
        specs = _specs(design, f"designs[{number}]")
        if specs not in named.values():
            named[design if isinstance(design, str) else design_name(specs)] = specs
    if len(named) == 1:
        raise SpecError(f"designs = {shown(designs)} compares {baseline} with itself; add a design, e.g. 'standard'.")
    return named


def planned(seeds: int | str | Sequence[int], max_seeds: int) -> SeedPlan:
    """Return the rule for the number of seeds.

    Raises:
        SpecError: if it is not a number, `auto`, or a list of seeds.
    """
    check("max_seeds of a comparison", max_seeds)
    if isinstance(seeds, str):
        if seeds != AUTO:
            raise SpecError(f"seeds = {shown(seeds)} is not valid; pass a number, a list of seeds, or 'auto'.")
    elif not isinstance(seeds, Sequence):
        check("seeds of a comparison", seeds)
    return SeedPlan(seeds=None, auto=isinstance(seeds, str), most=max_seeds, detect=None, margin=None)


def study_of(
    rows: Sequence[Row], seeds: int | str | Sequence[int], *, margin: float, baseline: str, title: str
) -> Study:
    """Return the study of a comparison with its first seeds."""
    number = 1 if isinstance(seeds, str) else seeds  # of `auto` the first look decides
    first = range(number) if isinstance(number, int) else number
    return Study(
        name="compare",
        title=f"{title} against {baseline}",
        rows=tuple(rows),
        seeds=tuple(first),
        baseline=baseline,
        margin=margin,
    )


def _specs(design: Any, place: str) -> tuple[SESpec, ...]:
    if isinstance(design, SESpec):
        return (design,)
    if isinstance(design, Sequence) and design and all(isinstance(spec, SESpec) for spec in design):
        return tuple(design)
    return se_designs(design, place=place)
