"""A study as a table of words: for the terminal, Markdown and CSV, all from the same cells."""

import csv
import io
import math
from collections.abc import Mapping, Sequence

from senet.experiments.agreement import Agreement, agreement
from senet.experiments.metrics import METRICS
from senet.experiments.study import Row, Study
from senet.experiments.summary import MEASURED, Estimate, Line, Paired
from senet.text import counted, csv_cell, markdown_table

__all__ = ["SPARE", "cells", "columns", "csv_text", "footnotes", "markdown", "paper_difference"]

MISSING = "missing"
SPARE = ("s/run", "paper [G]", "paper [M]", "MACs", "paper's difference", "p", "params", "paper", "ours - paper")
"""Headings of the columns that a narrow terminal goes without, the first one first."""


def printed(study: Study, *, kind: str = "measured") -> tuple[str, ...]:
    """Give the metrics of a kind that the paper of the study prints."""
    said = {name for row in study.rows for name, _ in row.paper}
    return tuple(name for name, known in METRICS.items() if name in said and known.kind == kind)


def _beside(study: Study, kind: str) -> tuple[str, ...]:
    """Return the metrics whose numbers of the paper stand beside ours; the quick scale is about other networks."""
    return () if study.scaled else printed(study, kind=kind)


def columns(study: Study) -> list[str]:
    """Give the headings."""
    counts = _beside(study, "counted")
    heads = ["design", "params"] + ["paper [M]"] * ("params_m" in counts)
    heads += ["MACs"] + ["paper [G]"] * ("gflops" in counts) + ["paper [M]"] * ("mflops" in counts)
    for name in printed(study) or ("accuracy",):
        heads.append(METRICS[name].heading)
        if _beside(study, "measured"):
            heads += ["paper", "ours - paper"]
    heads += ["difference [95 % interval]", "p"] + ["paper's difference"] * bool(printed(study))
    return [*heads, "n", "s/run"]


def cells(study: Study, lines: Sequence[Line]) -> list[list[str]]:
    """Give the words of every row, one for each heading."""
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
        row += [_difference(line), _p(line.difference)]
        if printed(study):
            theirs = paper_difference(study, line.row)
            row.append("-" if theirs is None else f"{theirs:+.2f}")
        n = f"{len(line.results)}" + (f" of {len(study.seeds)}" if line.missing else "")
        seconds = f"{line.seconds:.0f}" if line.results else MISSING
        table.append([*row, n, seconds])
    return table


def paper_difference(study: Study, row: Row) -> float | None:
    """Give the paper's top-1 difference between a row and its baseline [points]; None where it prints none."""
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


def footnotes(study: Study, lines: Sequence[Line]) -> list[str]:
    """Give what a reader of the table must know."""
    notes = _images(lines)
    if len(study.seeds) > 1:
        notes.append(
            "top-1: mean ± standard deviation over seeds, last epoch; difference: in points of accuracy, each seed "
            "against the baseline of the same seed (same start of the shared layers, same order, same augmentation), "
            "Student's t, p two-sided"
        )
    decided = [line.row.label for line in lines if line.difference is not None and line.difference.decided]
    if any(line.difference and line.difference.n > 1 for line in lines):
        if decided:
            notes.append(f"the interval excludes 0 for: {', '.join(decided)}; none is corrected for comparing several")
        if allowed := "; ".join(filter(None, map(_allowed, lines))):
            notes.append(f"could not be told apart from the baseline: {allowed}")
    if any(line.results and line.difference and line.difference.n < 2 for line in lines):
        notes.append("a single pair has no interval: such a difference says nothing about the design")
    if any(line.row.quoted for line in lines):
        notes.append("quoted: the paper takes this number from the network's own publication; it is not ranked")
    if len(study.rows) > 2 and (found := agreement(study, lines)) is not None:
        notes.append(_agreement(found))
    if any(line.results for line in lines):
        notes.append("s/run is wall time with whatever else the machine did: no comparison of speed")
    wanted = study.runs()
    absent = len(set(wanted) - {result.run for line in lines for result in line.results.values()})
    if absent:
        notes.append(
            f"{absent} of {len(wanted)} runs are missing; the same command trains them (failed ones: --retry-failed)"
        )
    return notes


def _images(lines: Sequence[Line]) -> list[str]:
    """Describe on how many images the networks were trained and tested, and for how long."""
    said = dict.fromkeys(
        f"{counted(len(result.curve), 'epoch')} of {counted(result.train_images, 'training image')}, tested on "
        f"{counted(result.total, 'image')} of {counted(len(result.classes), 'class')}"
        for line in lines
        for result in line.results.values()
    )
    return [f"each network was trained for {' or '.join(said)}"] if said else []


def _allowed(line: Line) -> str:
    found = line.difference
    if found is None or found.n < 2 or found.decided:
        return ""
    return f"{line.row.label} (the data allow {found.low:+.2f} to {found.high:+.2f})"


def markdown(study: Study, lines: Sequence[Line]) -> str:
    """Write the table as Markdown."""
    return markdown_table(columns(study), cells(study, lines))


def csv_text(study: Study, lines: Sequence[Line]) -> str:
    """Write one line for every row with plain numbers; empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    stats = [f"{name}_{part}" for name in MEASURED for part in ("mean", "sd", "paper")]
    stats += [f"{name}_paper" for name in METRICS if name not in MEASURED]
    tests = ["diff", "diff_low", "diff_high", "diff_p", "diff_paper"]
    writer.writerow(["id", "label", "design", "params", "macs", "n", *stats, *tests, "seconds"])
    for line in lines:
        paper = dict(line.row.paper)
        numbers: list[object] = []
        for name in MEASURED:
            numbers += [line.values[name].mean, line.values[name].sd, paper.get(name, math.nan)]
        numbers += [paper.get(name, math.nan) for name in METRICS if name not in MEASURED]
        d, theirs = line.difference, paper_difference(study, line.row)
        numbers += [d.mean, d.low, d.high, d.p] if d else [math.nan] * 4
        numbers.append(math.nan if theirs is None else theirs)
        plain = ["" if isinstance(x, float) and math.isnan(x) else x for x in (*numbers, line.seconds)]
        row = line.row
        words = map(csv_cell, (row.id, row.label, row.run.design))
        writer.writerow([*words, line.params, line.macs, len(line.results), *plain])
    return text.getvalue()


def _agreement(found: Agreement) -> str:
    order = f"agreement with the paper's order by {METRICS[found.metric].heading.removesuffix(' [%]')}, Kendall's tau-b"
    if found.rows < 3:
        return f"{order}: n/a with {found.rows} rows that have results; it needs 3"
    if math.isnan(found.tau):
        return f"{order}: n/a, all rows are equal"
    if math.isnan(found.low):
        return f"{order}: {found.tau:+.2f} over {found.rows} rows; one seed: no interval"
    return (
        f"{order}: {found.tau:+.2f} [{found.low:+.2f}, {found.high:+.2f}] over {found.rows} rows; 95 % bootstrap over "
        f"our {found.seeds} seeds, without the spread of the paper's single runs"
    )


def _paper(paper: Mapping[str, float], name: str) -> str:
    return f"{paper[name]:.{METRICS[name].digits}f}" if name in paper else "-"


def _p(difference: Paired | None) -> str:
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


def _difference(line: Line) -> str:
    difference = line.difference
    if difference is None:
        return "quoted" if line.row.quoted else "baseline"
    if not difference.n:
        return MISSING
    if difference.n < 2:
        return f"{difference.mean:+.2f} (one pair: no interval)"
    return f"{difference.mean:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]"
