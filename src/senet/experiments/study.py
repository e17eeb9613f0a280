"""A study: rows to compare, seeds to repeat them, the paper's numbers beside them. A file, or made by `compare`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from senet import settings
from senet.bounds import RANGES, check
from senet.errors import SpecError, shown, unknown
from senet.experiments import decoding
from senet.experiments.differences import differences, with_seeds
from senet.experiments.metrics import METRICS
from senet.experiments.run import Run

__all__ = ["METRICS", "PICTURES", "Row", "Study", "read_study"]

PICTURES = ("curves", "confusion", "per_class")
"""Further figures that a study may request, each for some of its rows."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        id: unique in the study.
        label: as the paper prints it.
        run: what to train, with the first seed.
        paper: the paper's numbers, by metric.
        versus: id of the row it is compared with; empty is the baseline of the study.
        quoted: the paper quotes these numbers from another publication: they stand beside ours and are not ranked.
    """

    id: str
    label: str
    run: Run
    paper: tuple[tuple[str, float], ...] = ()
    versus: str = ""
    quoted: bool = False


@dataclass(frozen=True, kw_only=True)
class Study:
    """Rows that are trained with the same seeds and compared pair by pair with a baseline.

    Attributes:
        name: the stem of its file, with `_quick` for the quick scale.
        title: what it shows.
        source: where the paper's numbers are from; empty if there are none.
        table: the table it transcribes, e.g. `senet/squeeze`; its row ids are those of the transcription.
        recipe_source: where the training is from.
        rows: what is compared.
        seeds: each row is trained once with each.
        baseline: id of the row that the others are compared with where they name no other.
        cost: expected work or time, with the machine.
        assumed: what the paper leaves open, and what is taken here.
        deviations: where this study knowingly differs from the paper.
        discrepancies: where the paper differs from itself, its sources or what can be counted.
        scaled: fields that the quick scale changes: full value -> quick value; empty at full scale.
        pictures: kinds of `PICTURES` with the ids of their rows.
        margin: smallest difference of accuracies that matters [points].
        looks: numbers of seeds after which its results are looked at to decide whether it goes on, ascending; empty
            for a number of seeds that is fixed before the start.
        pilot: number of first seeds whose spread planned the number of all; 0 if nothing did.
        notes: what a reader must know of its rows.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...] = (0,)
    baseline: str = ""
    source: str = ""
    table: str = ""
    recipe_source: str = ""
    cost: str = ""
    assumed: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    discrepancies: tuple[str, ...] = ()
    scaled: tuple[str, ...] = ()
    pictures: tuple[tuple[str, tuple[str, ...]], ...] = ()
    margin: float = 0.5
    looks: tuple[int, ...] = ()
    pilot: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ids = [row.id for row in self.rows]
        if not ids:
            raise SpecError(f"{self.name}: no rows; give [[rows]] or [axes].")
        if doubled := next((i for i, count in Counter(ids).items() if count > 1), None):
            raise SpecError(f"{self.name}: rows: the id {shown(doubled)} appears twice; ids must be unique.")
        fit = all(seed in RANGES["seed"] for seed in self.seeds)
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or not fit:
            raise SpecError(
                f"{self.name}: seeds = {shown(self.seeds)}; give whole numbers from 0, at least one, each once."
            )
        check("runs of a study", len(ids) * len(self.seeds))
        if self.margin not in RANGES["margin"]:
            raise SpecError(f"{self.name}: margin = {shown(self.margin)} is out of range; give {RANGES['margin']}.")
        if not self.baseline:
            object.__setattr__(self, "baseline", ids[0])
        known = set(ids)
        if self.baseline not in known:
            raise unknown(f"{self.name}: baseline", self.baseline, ids)
        for number, row in enumerate(self.rows):
            if row.versus and row.versus not in known:
                raise unknown(f"{self.name}: rows[{number}].versus", row.versus, ids)
        for kind, rows in self.pictures:
            if kind not in PICTURES:
                raise unknown(f"{self.name}: pictures", kind, PICTURES)
            if unknown_names := set(rows) - known:
                raise unknown(f"{self.name}: pictures.{kind}", min(unknown_names), ids)

    def reference(self, row: Row) -> str | None:
        """Return the id of the row that a row is compared with; None for a baseline and for a quoted row."""
        baselines = {self.baseline, *(other.versus for other in self.rows)}
        return None if row.quoted or row.id in baselines else row.versus or self.baseline

    def is_reference(self, row: Row) -> bool:
        """Return whether another row is compared with a row."""
        return any(self.reference(other) == row.id for other in self.rows)

    def repeated(self, seeds: int) -> "Study":
        """Return the study with a number of seeds: its own, then those that follow the largest."""
        following = range(max(self.seeds) + 1, max(self.seeds) + 1 + seeds - len(self.seeds))
        chosen = (*self.seeds, *following)[:seeds]
        return replace(self, seeds=chosen, scaled=with_seeds(self.scaled, chosen))

    def run(self, row: Row, seed: int) -> Run:
        """Return the run of a row with a seed."""
        return replace(row.run, seed=seed)

    def runs(self) -> list[Run]:
        """Return all runs, each once, seed by seed, so that an unfinished study already has pairs."""
        return list(dict.fromkeys(self.run(row, seed) for seed in self.seeds for row in self.rows))


def read_study(path: Path, *, changes: Mapping[str, Any] | None = None, quick: bool = False) -> Study:
    """Read a study file; everything in it is checked before anything runs.

    `[base]` holds a run. `[[rows]]` change it and carry `id`, `label` and `paper`; or `[axes]` lists values by dotted
    name and the rows are their combinations, the last axis fastest; an axis `seed` is another way to write `seeds`.
    `[quick]` holds `seeds`, `cost`, `deviations` and a table `run`, which is put over every row at the quick scale; a
    row's own `quick` is put over that.

    Args:
        path: a TOML file.
        quick: read the study at its quick scale; what it changes is told in `scaled`.
        changes: tables put over every row, e.g. from `recipe.epochs=2`; a table `se` changes the designs a row has
            and leaves plain rows plain; `seeds` replaces the seeds.

    Raises:
        DataError: if the file does not exist.
        SpecError: with file and dotted place of what does not fit.
    """
    values = settings.toml_file(path)
    changes = dict(changes or {})
    axes = values.get("axes")
    if isinstance(axes, dict) and "seed" in axes:  # seeds repeat and pair rows: they are not designs to compare
        if "seeds" in values:
            raise SpecError(f"{path}: axes.seed and seeds both name the seeds; keep one.")
        values["seeds"] = axes.pop("seed")
    asked = "seeds" in changes
    if asked:
        values["seeds"] = changes.pop("seeds")
    file = settings.record(_File, values, place=str(path))
    if quick and file.quick is None:
        raise SpecError(f"{path}: the study has no [quick] table; run it at full scale, without --quick.")
    full = _rows(file, changes, path, quick=False)
    rows, seeds = full, file.seeds
    scaled: tuple[str, ...] = ()
    if quick and file.quick is not None:
        rows = tuple(map(_here, full, _rows(file, changes, path, quick=True)))
        seeds = file.seeds if asked or not file.quick.seeds else file.quick.seeds
        scaled = differences(
            {row.id: row.run for row in full}, {row.id: row.run for row in rows}, seeds=(file.seeds, seeds)
        )
    deviations = file.deviations + (file.quick.deviations if quick and file.quick else ())
    if changes:
        said = ", ".join(f"{name}={value}" for name, value in _flat(changes))
        deviations = (*deviations, f"changed on the command line: {said}")
    return Study(
        name=path.stem + "_quick" * quick,
        title="Quick: " * quick + file.title + _asked_instead(file, changes, rows, path, quick=quick),
        source=file.source,
        table=file.table,
        recipe_source=file.recipe_source,
        rows=rows,
        seeds=seeds,
        baseline=file.baseline,
        cost=file.quick.cost if quick and file.quick else file.cost,
        assumed=file.assumed,
        deviations=deviations,
        discrepancies=file.discrepancies,
        scaled=scaled,
        pictures=tuple(file.pictures.items()),
        margin=file.margin,
    )


def _asked_instead(file: "_File", changes: Mapping[str, Any], rows: Sequence[Row], path: Path, *, quick: bool) -> str:
    """Return what a title adds where changes put other networks or data into the rows than it speaks of."""
    if not {"model", "data"} & changes.keys():
        return ""
    own = _rows(file, {}, path, quick=quick)
    said = []
    for before, now, word in (
        ([row.run.model for row in own], [row.run.model for row in rows], "with"),
        ([row.run.data.title for row in own], [row.run.data.title for row in rows], "on"),
    ):
        if before != now:
            said.append(f"{word} {', '.join(dict.fromkeys(now))}")
    return f" (here {' '.join(said)})" if said else ""


def _here(full: Row, quick: Row) -> Row:
    """Add the network of the quick scale to the label of a row, if it is not that of the paper."""
    if full.run.model == quick.run.model:
        return quick
    return replace(quick, label=f"{quick.label} (here {quick.run.model})")


@dataclass(frozen=True, kw_only=True)
class _Quick:
    """The quick scale as it is written."""

    seeds: tuple[int, ...] = ()
    cost: str = ""
    deviations: tuple[str, ...] = ()
    run: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _File:
    """A study as it is written: rows and axes are still tables."""

    title: str = ""
    source: str = ""
    table: str = ""
    recipe_source: str = ""
    base: dict[str, Any] = field(default_factory=dict)
    rows: tuple[dict[str, Any], ...] = ()
    axes: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    baseline: str = ""
    cost: str = ""
    assumed: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    discrepancies: tuple[str, ...] = ()
    pictures: dict[str, tuple[str, ...]] = field(default_factory=dict)
    margin: float = 0.5
    quick: _Quick | None = None


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What a row holds beside its run."""

    id: str
    label: str = ""
    paper: dict[str, float] = field(default_factory=dict)
    versus: str = ""
    quoted: bool = False
    quick: dict[str, Any] = field(default_factory=dict)


def _rows(file: _File, changes: Mapping[str, Any], path: Path, *, quick: bool) -> tuple[Row, ...]:
    over = file.quick.run if quick and file.quick else {}
    rows = [
        _row(row, file.base, over, changes, f"{path}: rows[{number}]", quick=quick)
        for number, row in enumerate(file.rows)
    ]
    rows += [_combination(names, file.base, over, changes, f"{path}: axes") for names in _combinations(file.axes)]
    return tuple(rows)


def _row(
    row: Mapping[str, Any],
    base: Mapping[str, Any],
    over: Mapping[str, Any],
    changes: Mapping[str, Any],
    place: str,
    *,
    quick: bool,
) -> Row:
    own = {name: row[name] for name in _Head.__dataclass_fields__ if name in row}
    head = settings.record(_Head, own, place=place)
    if unknown_names := set(head.paper) - set(METRICS):
        raise unknown(f"{place}.paper", min(unknown_names), METRICS)
    if quick:
        over = settings.merge(decoding.tables(over, place=place), decoding.tables(head.quick, place=place))
    run = _run({name: value for name, value in row.items() if name not in own}, base, over, changes, place)
    return Row(
        id=head.id,
        label=head.label or head.id,
        run=run,
        paper=tuple(head.paper.items()),
        versus=head.versus,
        quoted=head.quoted,
    )


def _combinations(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    if not axes:
        return []
    check("runs of a study", prod(map(len, axes.values())))
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _combination(
    names: dict[str, Any], base: Mapping[str, Any], over: Mapping[str, Any], changes: Mapping[str, Any], place: str
) -> Row:
    tables: dict[str, Any] = {}
    for name, value in names.items():
        nested = value
        for part in reversed(name.split(".")):
            nested = {part: nested}
        tables = settings.merge(tables, nested)
    run = _run(tables, base, over, changes, place)
    parts = [run.design if name == "se" else f"{name}={value}" for name, value in names.items()]
    return Row(id=" ".join(parts), label=" ".join(parts), run=run)


def _run(
    row: Mapping[str, Any], base: Mapping[str, Any], over: Mapping[str, Any], changes: Mapping[str, Any], place: str
) -> Run:
    """Return the run of a row: merge base, row, quick scale, changes; a change of `se` changes every design."""
    values: dict[str, Any] = {}
    for part in (base, row, over):
        values = settings.merge(values, decoding.tables(part, place=place))
    if isinstance(changes.get("se"), Mapping):
        designs = decoding.se_designs(values.get("se", []), place=f"{place}: se")
        values["se"] = [settings.merge(asdict(design), changes["se"]) for design in designs]
        changes = {name: value for name, value in changes.items() if name != "se"}
    values = settings.merge(values, decoding.tables(changes, place=place))
    if "seed" in values:
        raise SpecError(f"{place}: seed = {values['seed']!r} would be ignored; set seeds = [...] of the study.")
    return decoding.run(values, place=place)


def _flat(tables: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in tables.items():
        pairs += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, value)]
    return pairs
