"""A piece of evidence, and how the results of one are read."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of evidence.

    Attributes:
        question: heading.
        verdict: what it says, with intervals, in Markdown.
        table: page or report, from the root of the repository.
        figure: likewise; empty without one.
        machine: where it was measured.
        command: what measures it again.
    """

    question: str
    verdict: str
    table: str
    machine: str
    command: str
    figure: str = ""

    def lines(self) -> Iterator[str]:
        """Return the section of the page."""
        links = [f"[table](../{self.table})", *([f"[figure](../{self.figure})"] if self.figure else [])]
        yield f"### {self.question}\n"
        yield f"{self.verdict}\n"
        yield f"- {' and '.join(links)}"
        yield f"- Command: `{self.command}`"
        yield f"- Machine: {self.machine.removeprefix('Made on ')}\n"


def text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def found(path: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(text(path))
    return values


def one(pattern: str, path: str) -> re.Match[str]:
    """Find what is quoted of a page; a page that changed its words stops here."""
    match = re.search(pattern, text(path), re.MULTILINE)
    assert match is not None, (pattern, path)
    return match


def bracket(mean: float, low: float, high: float) -> str:
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def rows(report: str) -> list[dict[str, str]]:
    """Read the rows of a study's table.csv."""
    return list(csv.DictReader(text(f"studies/reports/{report}/table.csv").splitlines()))


def difference(row: Mapping[str, str]) -> str:
    """Describe a row of a study against its baseline: `standard r=4 -0.07 [-0.44, +0.31], equal within 0.5`."""
    if not row["diff_low"]:
        return f"{row['label']} {float(row['diff']):+.2f} (one pair: no interval)"
    interval = bracket(*(float(row[name]) for name in ("diff", "diff_low", "diff_high")))
    return f"{row['label']} {interval}, {row['verdict'].replace('the margin', row['margin'])}"


def study(report: str, question: str, before: str, after: str = "") -> Piece:
    """Describe the report of a comparison: its baseline's accuracy, and every other row against it."""
    path = f"studies/reports/{report}/report.md"
    base, *others = sorted(rows(report), key=lambda row: row["diff"] != "")
    sd = f" ± {float(base['accuracy_sd']):.2f}" if base["accuracy_sd"] else ""
    seeds = f"{base['n']} seeds" if base["n"] != "1" else "one seed"
    verdict = f"{before}{base['label']} {float(base['accuracy_mean']):.2f}{sd} %, {seeds}. "
    verdict += f"Against it: {'; '.join(map(difference, others))}.{after}"
    command, machine = one(r"^- Command: `(.*)`", path)[1], one(r"^- (Made on .*)", path)[1]
    others = sorted(set(re.findall(r"^- Made on .*commit (\w+)", text(path), re.M)))
    if len(others) > 1:
        machine = re.sub(r"commit \w+", f"commits {', '.join(others)}", machine)
    figure = path.replace("report.md", "figure.png")
    return Piece(question=question, verdict=verdict, table=path, figure=figure, machine=machine, command=command)
