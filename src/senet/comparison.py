"""The public `compare`: designs trained with the same seeds by a function of the user's own, and what that shows."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from senet.bounds import check
from senet.errors import SpecError, shown
from senet.experiments.decoding import se_designs
from senet.experiments.run import Run
from senet.experiments.study import Row, Study
from senet.experiments.summary import Line, summarize_numbers
from senet.spec import SESpec, design_name
from senet.tables import table

__all__ = ["Comparison", "compare"]

Train = Callable[[Any, int], float]
Designs = Sequence[str | SESpec | Sequence[SESpec]] | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a comparison found: the table, the verdicts and the figure that `senet compare` makes.

    Attributes:
        study: rows, seeds and margin.
        lines: what is known about each row: `values`, `difference` to the baseline, `verdict`.
    """

    study: Study
    lines: tuple[Line, ...]

    def table(self) -> str:
        """Return the table as text; columns without a known value are left out."""
        from senet.reports.study_table import MISSING, SPARE, cells, columns

        measured = any(line.results for line in self.lines)
        titles = [head if measured else head.replace("top-1", "accuracy") for head in columns(self.study)]
        by_column = zip(titles, *cells(self.study, self.lines), strict=True)
        heads, *rows = zip(*(one for one in by_column if set(one[1:]) != {MISSING}), strict=True)
        return "\n".join(line.rstrip() for line in table(heads, rows, spare=SPARE))

    def __str__(self) -> str:
        """Return the table, the verdicts in words and the notes."""
        from senet.reports.study_notes import footnotes, verdict_heading, verdicts

        said = [f"- {sentence}" for sentence in verdicts(self.study, self.lines)]
        notes = [f"- {note}" for note in footnotes(self.study, self.lines)]
        return "\n".join([self.table(), verdict_heading(self.study), *said, "", *notes])

    def as_dict(self) -> dict[str, Any]:
        """Return what `senet compare --json` prints of a study: `rows` with means, differences, verdicts, and notes."""
        from senet.reports.answer import answer

        return answer(self.study, self.lines)

    def figure(self, path: str | Path) -> None:
        """Draw the figure of the comparison.

        Args:
            path: `.png`, `.svg` or `.pdf`.

        Raises:
            StorageError: if the disk refuses.
            UsageError: if matplotlib is not installed.
        """
        from senet.reports.study_figure import draw

        draw(self.study, self.lines, Path(path))


def compare(
    train: Train,
    designs: Designs,
    *,
    seeds: int | Sequence[int] = 5,
    margin: float = 0.5,
    baseline: str = "plain",
) -> Comparison:
    """Train with each design and each seed, and compare the designs with the baseline, seed by seed.

    The training is the user's own, so that detection, segmentation and other trainers have the same table and verdicts
    as `senet compare`. It is called seed by seed, and pairs are only as good as it makes them: draw weights, order and
    augmentation from the seed alone. Only its numbers are known, so the intervals hold the spread over seeds and not
    the choice of the test images.

    Args:
        train: function of a design and a seed that trains and returns the accuracy in percent, or another measure from
            0 to 100 where more is better.
        designs: designs in words (`"standard:reduction=8"`) or specs; `train` receives a tuple of specs, empty for the
            plain network. Or a mapping of names to anything that `train` takes, e.g. builders of networks.
        seeds: number of seeds, which are then 0, 1, ...; or the seeds.
        margin: smallest difference that matters [points].
        baseline: design that the others are compared with; one that `designs` does not name is trained too. A name in
            `designs` if that is a mapping.

    Raises:
        SpecError: if a design, a seed or the margin is not valid, if the baseline is not in the mapping, or if `train`
            returns anything but a number from 0 to 100, or fractions of 1.

    Example:
        >>> def train(design, seed):
        ...     return 90 + seed + (1 + 0.1 * seed if design else 0)
        >>> found = compare(train, ["standard"], seeds=3)
        >>> [(row["id"], row["verdict"]["word"]) for row in found.as_dict()["rows"][1:]]
        [('standard', 'pays off')]
        >>> f"{found.lines[1].difference.low:.2f} to {found.lines[1].difference.high:.2f}"
        '0.85 to 1.35'
    """
    if not isinstance(designs, Sequence | Mapping | SESpec) or not designs:
        raise SpecError(f"designs = {shown(designs)}; pass a list of designs, or a mapping with the baseline in it.")
    if not callable(train):
        raise SpecError(f"train = {shown(train)} is not callable; pass a function of a design and a seed.")
    passed = dict(designs) if isinstance(designs, Mapping) else _named(designs, baseline)
    study = _study(passed, seeds, margin, baseline, of_specs=not isinstance(designs, Mapping))
    accuracies: dict[str, dict[int, float]] = {name: {} for name in passed}
    for seed in study.seeds:
        for name, design in passed.items():
            accuracies[name][seed] = _accuracy(train(design, seed), f"train({name!r}, {seed})")
    if all(value <= 1 for by_seed in accuracies.values() for value in by_seed.values()):
        raise SpecError("train returned no number above 1; return the accuracy in percent, not a fraction.")
    return Comparison(study=study, lines=tuple(summarize_numbers(study, accuracies)))


def _named(designs: Sequence[Any], baseline: str) -> dict[str, tuple[SESpec, ...]]:
    """Return the specs of every design by its name, the baseline first."""
    if isinstance(designs, str | SESpec):
        designs = [designs]
    first = se_designs(baseline, place="baseline")
    named = {baseline: first}
    for number, design in enumerate(designs):
        specs = _specs(design, f"designs[{number}]")
        if specs not in named.values():
            named[design if isinstance(design, str) else design_name(specs)] = specs
    if len(named) == 1:
        raise SpecError(f"designs = {shown(designs)} compares {baseline} with itself; add a design, e.g. 'standard'.")
    return named


def _specs(design: Any, place: str) -> tuple[SESpec, ...]:
    if isinstance(design, SESpec):
        return (design,)
    if isinstance(design, Sequence) and design and all(isinstance(spec, SESpec) for spec in design):
        return tuple(design)
    return se_designs(design, place=place)


def _study(
    passed: Mapping[str, Any], seeds: int | Sequence[int], margin: float, baseline: str, *, of_specs: bool
) -> Study:
    if not isinstance(seeds, Sequence):
        check("seeds of a comparison", seeds)
        seeds = range(seeds)
    rows = []
    for name, design in passed.items():
        run = Run(model="", se=design) if of_specs else Run(model=name)
        rows.append(Row(id=name, label=run.design if of_specs else name, run=run))
    return Study(
        name="compare",
        title=f"{', '.join(name for name in passed if name != baseline)} against {baseline}",
        rows=tuple(rows),
        seeds=tuple(seeds),
        baseline=baseline,
        margin=margin,
    )


def _accuracy(value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 100:
        raise SpecError(f"{place} = {shown(value)} is not a number from 0 to 100; return the accuracy in percent.")
    return number
