"""A study: rows to compare, seeds to repeat them, the paper's numbers beside them. A file, or made by `compare`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from senet import decode
from senet.errors import SpecError, unknown
from senet.lab.run import Run

__all__ = ["METRICS", "Row", "Study", "read_study"]

METRICS = ("accuracy", "accuracy5", "loss")
"""What a paper may print for a row: top-1 [%], top-5 [%], test loss [nats]."""

_KEYS = ("title", "source", "base", "rows", "axes", "seeds", "baseline", "cost", "assumed", "deviations")


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
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise SpecError(f"{self.name}: seeds = {self.seeds}; give at least one, each once.")
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
    name and the rows are their combinations, the last axis fastest.

    Args:
        path: a TOML file.
        changes: tables put over the base of every row, e.g. from `recipe.epochs=2`; `seeds` replaces the seeds.

    Raises:
        DataError: if the file does not exist.
        SpecError: with file and dotted place of what does not fit.
    """
    values = decode.toml_file(path)
    changes = dict(changes or {})
    seeds = changes.pop("seeds", values.get("seeds", [0]))
    if strange := set(values) - set(_KEYS):
        raise unknown(str(path), min(strange), _KEYS)
    base = decode.merge({"recipe": {}}, _named_recipe(values.get("base", {})))
    rows = [_row(number, row, base, changes, path) for number, row in enumerate(values.get("rows", []))]
    rows += [_combination(names, base, changes, path) for names in _combinations(values.get("axes", {}))]
    if not isinstance(seeds, list) or not all(isinstance(seed, int) for seed in seeds):
        raise SpecError(f"{path}: seeds = {seeds!r}; give a list of whole numbers.")
    texts = {name: str(values.get(name, "")) for name in ("title", "source", "baseline", "cost")}
    lists = {name: tuple(map(str, values.get(name, []))) for name in ("assumed", "deviations")}
    if changes:
        said = ", ".join(f"{name}={value}" for name, value in _flat(changes))
        lists["deviations"] = (*lists["deviations"], f"changed on the command line: {said}")
    return Study(name=path.stem, rows=tuple(rows), seeds=tuple(seeds), **texts, **lists)  # type: ignore[arg-type]


def _named_recipe(base: Mapping[str, Any]) -> dict[str, Any]:
    recipe = base.get("recipe", {})
    return {**base, "recipe": {"preset": recipe} if isinstance(recipe, str) else recipe}


def _row(number: int, row: Mapping[str, Any], base: Mapping[str, Any], changes: Mapping[str, Any], path: Path) -> Row:
    place = f"{path}: rows[{number}]"
    row = dict(row)
    if "id" not in row:
        raise SpecError(f"{place} has no id; give each row a short name.")
    name = str(row.pop("id"))
    label = str(row.pop("label", name))
    paper = row.pop("paper", {})
    if strange := set(paper) - set(METRICS):
        raise unknown(f"{place}.paper", min(strange), METRICS)
    run = decode.run(decode.merge(decode.merge(base, _named_recipe(row)), changes), place=place)
    return Row(id=name, label=label, run=run, paper=tuple((k, float(v)) for k, v in paper.items()))


def _combinations(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    if not axes:
        return []
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _combination(names: dict[str, Any], base: Mapping[str, Any], changes: Mapping[str, Any], path: Path) -> Row:
    tables: dict[str, Any] = {}
    for name, value in names.items():
        nested = value
        for part in reversed(name.split(".")):
            nested = {part: nested}
        tables = decode.merge(tables, nested)
    run = decode.run(decode.merge(decode.merge(base, tables), changes), place=f"{path}: axes")
    parts = [run.design if name == "se" else f"{name}={value}" for name, value in names.items()]
    return Row(id=" ".join(parts), label=" ".join(parts), run=run)


def _flat(tables: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in tables.items():
        pairs += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, value)]
    return pairs
