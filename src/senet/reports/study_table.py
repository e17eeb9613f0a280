"""A study as a table of words: for the terminal, Markdown and CSV, all from the same cells."""

import math
from collections.abc import Callable, Mapping, Sequence

from senet.experiments.measured_cost import TreatedCost
from senet.experiments.metrics import METRICS
from senet.experiments.statistics import Difference
from senet.experiments.study import Row, Study
from senet.experiments.summary import MEASURED, Estimate, Line
from senet.tables import Table

__all__ = ["MISSING", "SPARE", "cells", "columns", "csv_text", "markdown", "paper_difference", "study_table"]

MISSING = "missing"
"""Cell of a value that is not known."""
SPARE = (
    "s/run",
    "paper [G]",
    "paper [M]",
    "MACs",
    "paper's difference",
    "p",
    "params",
    "paper",
    "ours - paper",
    "visible [points]",
    "test loss",
    "n",
    "top-5 error [%]",
)
"""Headings of columns that a narrow terminal leaves out, in this order."""


def printed(study: Study, *, kind: str = "measured") -> tuple[str, ...]:
    """Return the metrics of a kind that the paper of the study prints."""
    names = {name for row in study.rows for name, _ in row.paper}
    return tuple(name for name, known in METRICS.items() if name in names and known.kind == kind)


def _beside(study: Study, kind: str) -> tuple[str, ...]:
    """Return the metrics whose numbers of the paper stand beside ours; the quick scale is about other networks."""
    return () if study.scaled else printed(study, kind=kind)


def columns(study: Study) -> list[str]:
    """Return the headings."""
    counts = _beside(study, "counted")
    heads = ["design", "params"] + ["paper [M]"] * ("params_m" in counts)
    heads += ["MACs"] + ["paper [G]"] * ("gflops" in counts) + ["paper [M]"] * ("mflops" in counts)
    for name in printed(study) or ("accuracy",):
        heads.append(METRICS[name].heading)
        if _beside(study, "measured"):
            heads += ["paper", "ours - paper"]
    heads += ["difference [95 % interval]", "visible [points]", "p"]
    heads += ["paper's difference"] * _has_paper_difference(study)
    return [*heads, "n", "s/run"]


def cells(study: Study, lines: Sequence[Line]) -> list[list[str]]:
    """Return the cells of every row, one for each heading."""
    table = []
    counts = _beside(study, "counted")
    for line in lines:
        paper = dict(line.row.paper)
        row = [line.row.label, _count(line.params)]
        row += [_paper(paper, name) for name in counts if name == "params_m"]
        row += [_big(line.macs), *(_paper(paper, name) for name in counts if name != "params_m")]
        for name in printed(study) or ("accuracy",):
            value, digits = line.values[name], METRICS[name].digits
            row.append(_estimate(value, digits))
            if _beside(study, "measured"):
                row += _against(value, paper.get(name), digits)
        row += [_difference(study, line), _visible(line.difference), _p(line.difference)]
        if _has_paper_difference(study):
            theirs = paper_difference(study, line.row)
            row.append("-" if theirs is None else f"{theirs:+.2f}")
        n = f"{line.n}" + (f" of {len(study.seeds)}" if line.missing else "")
        seconds = f"{line.seconds:.0f}" if line.results else MISSING
        table.append([*row, n, seconds])
    return table


def paper_difference(study: Study, row: Row) -> float | None:
    """Return the paper's top-1 difference between a row and its baseline [points]; None if it prints none."""
    other = study.reference(row)
    if other is None:
        return None
    mine, base = dict(row.paper), dict(next(r.paper for r in study.rows if r.id == other))
    if "top1_gain" in mine:
        return mine["top1_gain"]
    for name in ("accuracy", "top1_error"):
        if name in mine and name in base:
            return round((mine[name] - base[name]) * (1 if METRICS[name].higher else -1), 6)
    return None


def _has_paper_difference(study: Study) -> bool:
    """Return whether a column holds the papers' differences, which some print without the accuracies."""
    return bool(printed(study)) or any(paper_difference(study, row) is not None for row in study.rows)


def study_table(study: Study, lines: Sequence[Line]) -> Table:
    """Return the table; where only accuracies are known, without the columns of what results tell."""
    heads, rows = columns(study), cells(study, lines)
    if not any(line.results for line in lines) and any(line.n for line in lines):
        at = [n for n in range(len(heads)) if {row[n] for row in rows} != {MISSING}]
        heads, rows = [heads[n].replace("top-1", "accuracy") for n in at], [[row[n] for n in at] for row in rows]
    return Table(heads, rows, spare=SPARE)


def markdown(study: Study, lines: Sequence[Line]) -> str:
    """Return the table as Markdown."""
    return study_table(study, lines).markdown()


def csv_text(study: Study, lines: Sequence[Line]) -> str:
    """Return one line of CSV for every row with plain numbers; a cell without a value is empty."""
    stats = [f"{name}_{part}" for name in MEASURED for part in ("mean", "sd", "paper")]
    stats += [f"{name}_paper" for name in METRICS if name not in MEASURED]
    measured = any(line.cost is not None for line in lines)
    times = ["step", "step_optimized", "latency", "latency_optimized", "saved", "saved_optimized"] * measured
    tests = ["diff", "diff_low", "diff_high", "diff_p", "diff_paper", "diff_visible", "margin", "verdict"]
    rows = []
    for line in lines:
        row, paper = line.row, dict(line.row.paper)
        cells: list[object] = [row.id, row.label, row.run.design, line.params, line.macs, line.n]
        for name in MEASURED:
            cells += [line.values[name].mean, line.values[name].sd, paper.get(name)]
        cells += [paper.get(name) for name in METRICS if name not in MEASURED]
        d = line.difference
        cells += [d.mean, d.low, d.high, d.p] if d else [None] * 4
        cells += [paper_difference(study, row), d.visible if d else None]
        cells += [study.margin, line.verdict.word] if line.verdict else [None, None]
        if measured:
            treated = [] if line.cost is None else [line.cost.ordinary, line.cost.optimized]
            cells += [value(cost) for value in _RATIOS for cost in treated] or [None] * len(times)
        rows.append([*cells, line.seconds])
    heads = ["id", "label", "design", "params", "macs", "n", *stats, *tests, *times, "seconds"]
    return Table(heads, rows).csv()


_RATIOS: tuple[Callable[[TreatedCost], float], ...] = (
    lambda cost: cost.step.median,
    lambda cost: cost.latency.median,
    lambda cost: cost.saved,
)


def _paper(paper: Mapping[str, float], name: str) -> str:
    return f"{paper[name]:.{METRICS[name].digits}f}" if name in paper else "-"


def _visible(difference: Difference | None) -> str:
    return "-" if difference is None or math.isnan(difference.visible) else f"{difference.visible:.2f}"


def _p(difference: Difference | None) -> str:
    if difference is None or math.isnan(difference.p):
        return "-"
    return "< 0.001" if difference.p < 0.001 else f"{difference.p:.3f}"


def _count(number: int | None) -> str:
    return MISSING if number is None else f"{number:,}"


def _big(number: int | None) -> str:
    if number is None:
        return MISSING
    return f"{number / 1e9:.2f} G" if number >= 1e9 else f"{number / 1e6:.2f} M"


def _estimate(value: Estimate, digits: int) -> str:
    if not value.n:
        return MISSING
    return f"{value.mean:.{digits}f}" + (f" ± {value.sd:.{digits}f}" if value.n > 1 else "")


def _against(value: Estimate, paper: float | None, digits: int) -> list[str]:
    if paper is None:
        return ["-", "-"]
    return [f"{paper:.{digits}f}", f"{value.mean - paper:+.{digits}f}" if value.n else MISSING]


def _difference(study: Study, line: Line) -> str:
    difference = line.difference
    if difference is None:
        return "quoted" if line.row.quoted else "baseline" if study.is_reference(line.row) else "-"
    if not difference.n:
        return MISSING
    if difference.n < 2 or math.isnan(difference.half):
        return f"{difference.mean:+.2f} ({'one pair' if difference.n < 2 else 'equal pairs'}: no interval)"
    return f"{difference.mean:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]"
