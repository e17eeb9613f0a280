"""A study: rows to compare, seeds to repeat them, the paper's numbers beside them. A file, or made by `compare`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from senet import decode
from senet.errors import SpecError, unknown
from senet.lab.run import Run

__all__ = ["METRICS", "Row", "Study", "read_study"]

METRICS = ("accuracy", "accuracy5", "loss")
"""What a paper may print for a row: top-1 [%], top-5 [%], test loss [nats]."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        id: unique in the study.
        label: as the paper prints it.
        run: what to train, with the first seed.
        paper: the paper's numbers, by metric.
    """

    id: str
    label: str
    run: Run
    paper: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Study:
    """Rows that are trained with the same seeds and compared pair by pair with one of them.

    Attributes:
        name: the stem of its file.
        title: what it shows.
        source: where the paper's numbers are from; empty if there are none.
        rows: what is compared.
        seeds: each row is trained once with each.
        baseline: id of the row that the others are compared with.
        cost: expected time, with the machine.
        assumed: what the paper leaves open, and what is taken here.
        deviations: where this study knowingly differs from the paper.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...] = (0,)
    baseline: str = ""
    source: str = ""
    cost: str = ""
    assumed: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ids = [row.id for row in self.rows]
        if not ids:
            raise SpecError(f"{self.name}: no rows; give [[rows]] or [axes].")
        if doubled := next((i for i in ids if ids.count(i) > 1), None):
            raise SpecError(f"{self.name}: rows: the id {doubled!r} stands twice; ids are unique.")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise SpecError(f"{self.name}: seeds = {self.seeds}; give whole numbers from 0, at least one, each once.")
        if not self.baseline:
            object.__setattr__(self, "baseline", ids[0])
        if self.baseline not in ids:
            raise unknown(f"{self.name}: baseline", self.baseline, ids)

    def run(self, row: Row, seed: int) -> Run:
        """Give the run of one cell."""
        return replace(row.run, seed=seed)

    def runs(self) -> list[Run]:
        """Give all runs, each once, seed by seed, so that a half-done study already has pairs."""
        return list(dict.fromkeys(self.run(row, seed) for seed in self.seeds for row in self.rows))


def read_study(path: Path, *, changes: Mapping[str, Any] | None = None) -> Study:
    """Read a study file; everything in it is checked before anything runs.

    `[base]` holds a run. `[[rows]]` change it and carry `id`, `label` and `paper`; or `[axes]` lists values by dotted
    name and the rows are their combinations, the last axis fastest; an axis `seed` is another way to write `seeds`.

    Args:
        path: a TOML file.
        changes: tables put over every row, e.g. from `recipe.epochs=2`; a table `se` changes the designs a row has
            and leaves plain rows plain; `seeds` replaces the seeds.

    Raises:
        DataError: if the file does not exist.
        SpecError: with file and dotted place of what does not fit.
    """
    values = decode.toml_file(path)
    changes = dict(changes or {})
    axes = values.get("axes")
    if isinstance(axes, dict) and "seed" in axes:  # seeds repeat rows and pair them: they are no design to compare
        if "seeds" in values:
            raise SpecError(f"{path}: axes.seed and seeds both name the seeds; keep one.")
        values["seeds"] = axes.pop("seed")
    if "seeds" in changes:
        values["seeds"] = changes.pop("seeds")
    file = decode.record(_File, values, place=str(path))
    rows = [_row(row, file.base, changes, f"{path}: rows[{number}]") for number, row in enumerate(file.rows)]
    rows += [_combination(names, file.base, changes, f"{path}: axes") for names in _combinations(file.axes)]
    deviations = file.deviations
    if changes:
        said = ", ".join(f"{name}={value}" for name, value in _flat(changes))
        deviations = (*deviations, f"changed on the command line: {said}")
    return Study(
        name=path.stem,
        title=file.title,
        source=file.source,
        rows=tuple(rows),
        seeds=file.seeds,
        baseline=file.baseline,
        cost=file.cost,
        assumed=file.assumed,
        deviations=deviations,
    )


@dataclass(frozen=True, kw_only=True)
class _File:
    """A study as it is written: rows and axes are still tables."""

    title: str = ""
    source: str = ""
    base: dict[str, Any] = field(default_factory=dict)
    rows: tuple[dict[str, Any], ...] = ()
    axes: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    baseline: str = ""
    cost: str = ""
    assumed: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What a row holds beside its run."""

    id: str
    label: str = ""
    paper: dict[str, float] = field(default_factory=dict)


def _row(row: Mapping[str, Any], base: Mapping[str, Any], changes: Mapping[str, Any], place: str) -> Row:
    own = {name: row[name] for name in ("id", "label", "paper") if name in row}
    head = decode.record(_Head, own, place=place)
    if strange := set(head.paper) - set(METRICS):
        raise unknown(f"{place}.paper", min(strange), METRICS)
    run = _run({name: value for name, value in row.items() if name not in own}, base, changes, place)
    return Row(id=head.id, label=head.label or head.id, run=run, paper=tuple(head.paper.items()))


def _combinations(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    if not axes:
        return []
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _combination(names: dict[str, Any], base: Mapping[str, Any], changes: Mapping[str, Any], place: str) -> Row:
    tables: dict[str, Any] = {}
    for name, value in names.items():
        nested = value
        for part in reversed(name.split(".")):
            nested = {part: nested}
        tables = decode.merge(tables, nested)
    run = _run(tables, base, changes, place)
    parts = [run.design if name == "se" else f"{name}={value}" for name, value in names.items()]
    return Row(id=" ".join(parts), label=" ".join(parts), run=run)


def _run(row: Mapping[str, Any], base: Mapping[str, Any], changes: Mapping[str, Any], place: str) -> Run:
    """Put a row over the base and the changes over both; a change of `se` changes every design that is there."""
    values = decode.merge(_tables(base), _tables(row))
    if isinstance(changes.get("se"), Mapping):
        designs = decode.se_designs(values.get("se", []), place=f"{place}: se")
        values["se"] = [decode.merge(asdict(design), changes["se"]) for design in designs]
        changes = {name: value for name, value in changes.items() if name != "se"}
    values = decode.merge(values, _tables(changes))
    if "seed" in values:
        raise SpecError(f"{place}: seed = {values['seed']!r} would be passed over; give seeds = [...] of the study.")
    return decode.run(values, place=place)


def _tables(values: Mapping[str, Any]) -> dict[str, Any]:
    # a name is short for a table with that name, so that other tables can be put over it
    short = {"recipe": "preset", "data": "name"}
    return {k: {short[k]: v} if k in short and isinstance(v, str) else v for k, v in values.items()}


def _flat(tables: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in tables.items():
        pairs += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, value)]
    return pairs
