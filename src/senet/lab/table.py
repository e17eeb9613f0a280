"""A study as a table of words: for the terminal, Markdown and CSV, all from the same cells."""

import csv
import io
import math
from collections.abc import Sequence

from senet.lab.study import METRICS, Study
from senet.lab.summary import Estimate, Line, Paired

__all__ = ["cells", "columns", "csv_text", "footnotes", "markdown"]

UNITS = {"accuracy": "top-1 [%]", "accuracy5": "top-5 [%]", "loss": "test loss"}
MISSING = "missing"


def printed(study: Study) -> tuple[str, ...]:
    """Give the metrics that the paper of the study prints."""
    said = {name for row in study.rows for name, _ in row.paper}
    return tuple(name for name in METRICS if name in said)


def columns(study: Study) -> list[str]:
    """Give the headings."""
    heads = ["design", "params", "MACs"]
    for name in printed(study) or ("accuracy",):
        heads.append(UNITS[name])
        if printed(study):
            heads += ["paper", "ours - paper"]
    return [*heads, "difference [95 % interval]", "n", "s/run"]


def cells(study: Study, lines: Sequence[Line]) -> list[list[str]]:
    """Give the words of every row, one for each heading."""
    table = []
    for line in lines:
        row = [line.row.label, _count(line.params), _big(line.macs)]
        paper = dict(line.row.paper)
        for name in printed(study) or ("accuracy",):
            value = line.values[name]
            row.append(_estimate(value, 4 if name == "loss" else 2))
            if printed(study):
                row += _against(value, paper.get(name), 4 if name == "loss" else 2)
        n = f"{len(line.results)}" + (f" of {len(study.seeds)}" if line.missing else "")
        seconds = f"{line.seconds:.0f}" if line.results else MISSING
        table.append([*row, _difference(line.difference), n, seconds])
    return table


def footnotes(study: Study, lines: Sequence[Line]) -> list[str]:
    """Give what a reader of the table must know."""
    notes = []
    if len(study.seeds) > 1:
        notes.append(
            "top-1: mean ± standard deviation over seeds, last epoch; difference: in points, each seed against the "
            "baseline of the same seed (same start of the shared layers, same order, same augmentation), Student's t"
        )
    decided = [line.row.label for line in lines if line.difference is not None and line.difference.decided]
    if any(line.difference and line.difference.n > 1 for line in lines):
        if decided:
            notes.append(f"the interval excludes 0 for: {', '.join(decided)}; none is corrected for comparing several")
        else:
            notes.append("no interval excludes 0: on this evidence no design differs from the baseline")
    if any(line.results and line.difference and line.difference.n < 2 for line in lines):
        notes.append("a single pair has no interval: such a difference says nothing about the design")
    if any(line.results for line in lines):
        notes.append("s/run is wall time with whatever else the machine did: no comparison of speed")
    absent = sum(len(line.missing) for line in lines)
    if absent:
        notes.append(f"{absent} of {len(study.rows) * len(study.seeds)} runs are missing; `senet run` trains them")
    return notes


def markdown(study: Study, lines: Sequence[Line]) -> str:
    """Write the table as Markdown."""
    heads, body = columns(study), cells(study, lines)
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "".join("| " + " | ".join(_safe(word) for word in row) + " |\n" for row in (heads, rule, *body))


def csv_text(study: Study, lines: Sequence[Line]) -> str:
    """Write one line for every row with plain numbers; empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    stats = [f"{name}_{part}" for name in METRICS for part in ("mean", "sd", "paper")]
    writer.writerow(
        ["id", "label", "design", "params", "macs", "n", *stats, "diff", "diff_low", "diff_high", "seconds"]
    )
    for line in lines:
        paper = dict(line.row.paper)
        numbers: list[object] = []
        for name in METRICS:
            numbers += [line.values[name].mean, line.values[name].sd, paper.get(name, math.nan)]
        d = line.difference
        numbers += [d.mean, d.low, d.high] if d else [math.nan] * 3
        plain = ["" if isinstance(x, float) and math.isnan(x) else x for x in (*numbers, line.seconds)]
        row = line.row
        writer.writerow([row.id, row.label, row.run.design, line.params, line.macs, len(line.results), *plain])
    return text.getvalue()


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


def _difference(difference: Paired | None) -> str:
    if difference is None:
        return "baseline"
    if not difference.n:
        return MISSING
    if difference.n < 2:
        return f"{difference.mean:+.2f} (one pair: no interval)"
    return f"{difference.mean:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]"


def _safe(word: str) -> str:
    return " ".join(word.splitlines()).replace("|", "\\|")
