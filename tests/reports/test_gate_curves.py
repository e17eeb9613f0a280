"""Gates by epoch in a report: means over seeds, only of trainings that watched them."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from study_results import results, study

from senet.experiments.result import Result
from senet.experiments.summary import summarize
from senet.reports.gate_curves import MOST_DESIGNS, draw_gates, gates_csv, watched
from senet.reports.study_report import write_report

CORRECT = {"plain": {0: 700, 1: 710}, "se": {0: 720, 1: 735}, "bump": {0: 700, 1: 702}}


def watch(one: Result, gates: Mapping[str, Mapping[str, float]]) -> Result:
    """Add the same gates to every epoch of a result."""
    return replace(one, curve=tuple(replace(epoch, gates=gates) for epoch in one.curve))


def watched_results() -> dict:
    """Make results in which the row `se` was watched: one block whose shut share goes by the seed, one without end."""
    found = results(study((0, 1)), CORRECT)
    for run, one in found.items():
        if run.se and run.se[0].variant == "standard":
            bounded = {"open": 0.5, "shut": 0.1 + 0.2 * run.seed, "half": 0.0, "stuck": 0.25}
            found[run] = watch(one, {"stage1.se": bounded, "stage2.se": {"shut": 0.0, "stuck": 1.0}})
    return found


def test_shares_are_means_over_seeds_of_the_rows_that_were_watched() -> None:
    mine = study((0, 1))
    lines = watched(summarize(mine, watched_results()))
    assert [line.row.id for line in lines] == ["se"]
    rows = list(csv.DictReader(io.StringIO(gates_csv(lines))))
    assert [(row["block"], row["epoch"]) for row in rows] == [
        ("stage1.se", "1"),
        ("stage1.se", "2"),
        ("stage2.se", "1"),
        ("stage2.se", "2"),
    ]
    assert rows[0] == {
        "row": "se", "block": "stage1.se", "epoch": "1", "seeds": "2",
        "open": "0.5", "shut": "0.2", "half": "0.0", "stuck": "0.25",
    }  # fmt: skip
    assert (rows[3]["open"], rows[3]["half"], rows[3]["stuck"]) == ("", "", "1.0")  # a gate without an upper end


def test_a_report_has_gates_only_if_they_were_watched(tmp_path: Path) -> None:
    mine = study((0, 1))
    without = write_report(mine, results(mine, CORRECT), tmp_path / "without", command="senet run s.toml")
    files = write_report(mine, watched_results(), tmp_path / "with", command="senet run s.toml")
    assert {file.name for file in files} - {file.name for file in without} == {"gates.png", "gates.csv"}
    assert "](gates.png)" in (tmp_path / "with" / "report.md").read_text(encoding="utf-8")
    assert "gates" not in (tmp_path / "without" / "report.md").read_text(encoding="utf-8")
    drawn = (tmp_path / "with" / "gates.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_figure_of_many_deep_designs_stays_within_what_can_be_drawn(tmp_path: Path) -> None:
    found = watched_results()
    for run, one in found.items():
        if one.curve[0].gates:
            found[run] = watch(one, {f"stage{at}.se": {"shut": 0.5, "stuck": 0.0} for at in range(200)})
    (line,) = watched(summarize(study((0, 1)), found))
    draw_gates([line] * (MOST_DESIGNS + 20), tmp_path / "gates.png")
    width, height = (int.from_bytes((tmp_path / "gates.png").read_bytes()[at : at + 4]) for at in (16, 20))
    assert width == 2100
    assert height < 2**15
