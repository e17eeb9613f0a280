"""The public `compare`: designs trained with the same seeds, by `senet` or a function of the user's own."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from senet.bounds import check
from senet.errors import SpecError, shown
from senet.execution.asked_run import asked_values, check_models, made_run
from senet.experiments.data_spec import DATASETS
from senet.experiments.decoding import se_designs
from senet.experiments.failed_run import Failed, failures
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.experiments.study import Row, Study
from senet.experiments.summary import Line, summarize, summarize_numbers
from senet.settings import merge
from senet.spec import SESpec, design_name
from senet.tables import Table

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
        return str(Table(heads, rows, spare=SPARE))

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


@overload
def compare(
    train: Train,
    designs: Designs,
    /,
    *,
    seeds: int | Sequence[int] = 5,
    margin: float = 0.5,
    baseline: str = "plain",
) -> Comparison: ...


@overload
def compare(
    model: str,
    data: str | Path | Mapping[str, Any],
    designs: Sequence[str | SESpec | Sequence[SESpec]],
    /,
    *,
    seeds: int | Sequence[int] = 5,
    margin: float = 0.5,
    baseline: str = "plain",
    recipe: str | Mapping[str, Any] | None = None,
    weights: str | None = None,
    runs: str | Path = "runs",
    setup: Setup | None = None,
    retry_failed: bool = False,
) -> Comparison: ...


def compare(first: Any, second: Any, third: Any = None, /, **options: Any) -> Comparison:  # noqa: D417 - of both forms
    """Train with each design and each seed, and compare the designs with the baseline, seed by seed.

    `compare(train, designs)` calls a training function of the user's own, so that detection, segmentation and other
    trainers have the same table and verdicts as `senet compare`. It is called seed by seed, and pairs are only as good
    as it makes them: draw weights, order and augmentation from the seed alone. Only its numbers are known, so the
    intervals hold the spread over seeds and not the choice of the test images.

    `compare(model, data, designs)` does what the command does: the runs are in a folder, those that are there already
    are read, and intervals hold the test images too.

    Args:
        train: function of a design and a seed that trains and returns the accuracy in percent, or another measure from
            0 to 100 where more is better.
        model: network, as in `senet.experiments.run.Run.model`: a name, `timm:NAME`, `FILE.py:FUNCTION`, a folder.
        data: name of a data set, its folder, or fields of `DataSpec`.
        designs: designs in words (`"standard:reduction=8"`) or specs; `train` receives a tuple of specs, empty for the
            plain network. For `train` also a mapping of names to anything that it takes, e.g. builders of networks.
        seeds: number of seeds, which are then 0, 1, ...; or the seeds.
        margin: smallest difference that matters [points].
        baseline: design that the others are compared with; one that `designs` does not name is trained too. A name in
            `designs` if that is a mapping.
        recipe: name of a recipe, or changes to the default of the data set, e.g. `{"epochs": 2}`.
        weights: weights to start from, or `pretrained`, as for the command.
        runs: folder of the runs; `senet compare` with the same folder shares them.
        setup: device and processes; None is the GPU if there is one, otherwise the CPU, one run at a time.
        retry_failed: train runs again that failed before.

    Raises:
        SpecError: if a design, a seed or the margin is not valid, if the baseline is not in the mapping, or if `train`
            returns anything but a number from 0 to 100, or fractions of 1.
        SenetError: if the runs cannot be trained, see `senet.execution.execute.execute`.

    Example:
        >>> def train(design, seed):
        ...     return 90 + seed + (1 + 0.1 * seed if design else 0)
        >>> found = compare(train, ["standard"], seeds=3)
        >>> [(row["id"], row["verdict"]["word"]) for row in found.as_dict()["rows"][1:]]
        [('standard', 'pays off')]
        >>> f"{found.lines[1].difference.low:.2f} to {found.lines[1].difference.high:.2f}"
        '0.85 to 1.35'
    """
    if callable(first) and third is None:
        return _of_function(first, second, **options)
    if isinstance(first, str) and third is not None:
        return _of_model(first, second, third, **options)
    raise SpecError(
        f"compare({shown(first)}, ...) takes a training function and designs, or a network by name, data and designs."
    )


def _of_function(
    train: Train,
    designs: Designs,
    *,
    seeds: int | Sequence[int] = 5,
    margin: float = 0.5,
    baseline: str = "plain",
) -> Comparison:
    if isinstance(designs, Mapping):
        passed = dict(designs)
        if len(passed) < 2 or not all(isinstance(name, str) and name for name in passed):
            raise SpecError(
                f"designs = {shown(list(passed))} cannot be compared; pass at least two names, one the baseline."
            )
        rows = [Row(id=name, label=name, run=Run(model=name)) for name in passed]
    else:
        passed = _named(designs, baseline)
        rows = [Row(id=name, label=design_name(specs), run=Run(model="", se=specs)) for name, specs in passed.items()]
    study = _study(rows, seeds, margin, baseline, title=", ".join(name for name in passed if name != baseline))
    accuracies: dict[str, dict[int, float]] = {name: {} for name in passed}
    for seed in study.seeds:
        for name, design in passed.items():
            accuracies[name][seed] = _accuracy(train(design, seed), f"train({name!r}, {seed})")
    if all(value <= 1 for by_seed in accuracies.values() for value in by_seed.values()):
        raise SpecError("train returned no number above 1; return the accuracy in percent, not a fraction.")
    return Comparison(study=study, lines=tuple(summarize_numbers(study, accuracies)))


def _of_model(
    model: str,
    data: str | Path | Mapping[str, Any],
    designs: Sequence[Any],
    *,
    seeds: int | Sequence[int] = 5,
    margin: float = 0.5,
    baseline: str = "plain",
    recipe: str | Mapping[str, Any] | None = None,
    weights: str | None = None,
    runs: str | Path = "runs",
    setup: Setup | None = None,
    retry_failed: bool = False,
) -> Comparison:
    from senet.execution.execute import execute
    from senet.execution.store import Store
    from senet.files.atomic import ensure_writable

    if not isinstance(recipe, str | Mapping | None):
        raise SpecError(f"recipe = {shown(recipe)} is not a recipe; pass its name, or a mapping of changes.")
    if not isinstance(data, str | Path | Mapping):
        raise SpecError(f"data = {shown(data)} is not a data set; pass its name, its folder, or fields of DataSpec.")
    named = isinstance(data, Mapping) or data in DATASETS
    folder = None if named else Path(str(data))
    asked = asked_values(
        None,
        data=data if named and isinstance(data, str) else None,
        data_dir=folder,
        model=model,
        recipe=recipe if isinstance(recipe, str) else None,
        weights=weights,
        base={"data": dict(data)} if isinstance(data, Mapping) else None,
    )
    if isinstance(recipe, Mapping):
        asked["recipe"] = merge(asked["recipe"], recipe)
    plain = made_run(asked)
    rows = [
        Row(id=name, label=design_name(specs), run=replace(plain, se=specs))
        for name, specs in _named(designs, baseline).items()
    ]
    study = _study(rows, seeds, margin, baseline, title=f"{plain.model} on {plain.data.title}: designs")
    check_models(study)
    ensure_writable(Path(runs))
    setup = setup or Setup(device=_device())
    if folder is not None:
        setup = replace(setup, data_dir=folder)
    results: dict[Run, Result] = {}
    failed: list[Failed] = []
    for ended in execute(study.runs(), Store(Path(runs)), setup, retry_failed=retry_failed):
        if isinstance(ended, Result):
            results[ended.run] = ended
        elif isinstance(ended, Failed):
            failed.append(ended)
    if failed:
        raise failures(failed, len(study.runs()))
    return Comparison(study=study, lines=tuple(summarize(study, results)))


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _named(designs: Sequence[Any], baseline: str) -> dict[str, tuple[SESpec, ...]]:
    """Return the specs of every design by its name, the baseline first."""
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


def _specs(design: Any, place: str) -> tuple[SESpec, ...]:
    if isinstance(design, SESpec):
        return (design,)
    if isinstance(design, Sequence) and design and all(isinstance(spec, SESpec) for spec in design):
        return tuple(design)
    return se_designs(design, place=place)


def _study(rows: Sequence[Row], seeds: int | Sequence[int], margin: float, baseline: str, *, title: str) -> Study:
    if not isinstance(seeds, Sequence):
        check("seeds of a comparison", seeds)
        seeds = range(seeds)
    return Study(
        name="compare",
        title=f"{title} against {baseline}",
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
