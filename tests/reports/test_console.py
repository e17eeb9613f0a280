"""Tables on the terminal: whole cells, numbers right, words left, nothing read as markup."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from senet.reports.console import say_written, show
from senet.reports.fold_report import SPARE
from senet.reports.fold_report import TEXT_COLUMNS as WORDS_OF_FOLD
from senet.tables import Table


def test_cells_are_printed_as_they_are_and_none_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show(Table(["design", "note"], [["[bold]wide[/bold]", "x" * 150]]))
    out = capsys.readouterr().out
    assert "[bold]wide[/bold]" in out
    assert "x" * 150 in out


def test_a_heading_breaks_before_its_unit_or_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    show(Table(["a", "top-1 error [%]", "constants went to"], [["1", "2", "3"]]), title="Title")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].strip() == "Title"
    assert lines[1].split() == ["top-1", "error", "constants"]
    assert lines[2].split() == ["a", "[%]", "went", "to"]


def test_words_stand_left_with_a_gap_and_numbers_right(capsys: pytest.CaptureFixture[str]) -> None:
    show(Table(["n", "size", "place"], [["1", "5", "here"], ["2", "500", "nowhere"]], words={"place"}))
    rows = [line for line in capsys.readouterr().out.splitlines() if "here" in line]
    assert [row.rstrip() for row in rows] == [" 1    5  here", " 2  500  nowhere"]


def test_records_are_a_line_each_with_separators(capsys: pytest.CaptureFixture[str]) -> None:
    show(Table.of_records([{"network": "a", "params": 1234567}, {"network": "b", "params": 5}]))
    out = capsys.readouterr().out
    assert "1,234,567" in out
    assert len([line for line in out.splitlines() if line.strip()]) == 4


HEADS = ["design", "params", "MACs", "top-1 [%]", "difference [95 % interval]", "p", "n", "s/run"]
ROWS = [
    ["plain", "75,002", "0.75 M", "44.00 ± 5.66", "baseline", "-", "2", "1"],
    ["Slow squeeze and slow excite", "76,577", "0.75 M", "29.00 ± 4.24", "-15.00 [-27.71, -2.29]", "0.042", "2", "2"],
    ["猫" * 14, "76,577", "0.75 M", "29.00 ± 4.24", "-5.00 (one pair: no interval)", "0.042", "2", "2"],
]
WORDS = [["kth_table3", "17 (14 networks)", "70 runs of 200 epochs: 2.5e17 multiply-adds", "14 runs of 10 epochs"]] * 2


@pytest.mark.parametrize("columns", [200, 100, 80, 72, 60, 50, 40])
def test_a_table_is_never_wider_than_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    show(Table(HEADS, ROWS, spare=("s/run", "MACs", "p")), title="A title")
    show(Table(["study", "rows", "full scale", "quick scale"], WORDS, words={"rows", "full scale", "quick scale"}))
    show(Table.of_records([{"network": "resnet20" * 3, "params": 10**9, "MMAC": 1.5, "blocks": 9}]))
    out = capsys.readouterr().out
    assert max(cell_len(line) for line in out.splitlines()) <= columns
    flat = " ".join(out.split())
    for word in ("Slow squeeze", "29.00 ± 4.24", "-15.00", "kth_table3", "1,000,000,000"):
        assert word in flat


@pytest.mark.parametrize("at_import", ["40", "80", "300"])
def test_the_width_is_that_of_now_and_not_of_the_import(at_import: str) -> None:
    """A width in the environment of the first import must not stay, and without one a pipe has no width."""
    code = (
        "import os, senet.reports.console as c; from senet.tables import Table; del os.environ['COLUMNS'];"
        "c.show(Table(['a', 'b'], [['1', 'x' * 200]]));"
        "os.environ['COLUMNS'] = '60'; c.show(Table(['a', 'b'], [['1', 'y' * 200]], words={'b'}))"
    )
    environment = os.environ | {"COLUMNS": at_import}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "x" * 200 in out.stdout
    assert max(cell_len(line) for line in out.stdout.splitlines() if "y" in line) == 60


def test_columns_that_are_left_out_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "92")
    show(Table(HEADS, ROWS, spare=("s/run", "MACs", "p")))
    assert "not shown, as the terminal is too narrow: s/run, MACs" in capsys.readouterr().out


def test_a_column_that_was_left_out_comes_back_if_it_fits() -> None:
    table = Table(["name", "wide", "small", "kept"], [["a", "x" * 30, "1.5", "y" * 10]], spare=("small", "wide"))
    found = table.layout(24)
    assert found.gone == ("wide",)
    assert found.heads[-1].split() == ["name", "small", "kept"]
    assert "a pipe, a file and --json have all columns" in found.note


def test_a_pipe_gets_the_whole_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show(Table(HEADS, ROWS, spare=("s/run", "MACs", "p")))
    out = capsys.readouterr().out
    assert "0.75 M" in out
    assert len([line for line in out.splitlines() if "0.042" in line and "29.00" in line]) == 2


def test_a_written_path_has_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    say_written([Path("out") / ("x" * 100) / "report.md", Path("a b.csv")])
    assert capsys.readouterr().out.splitlines() == [f"written: out/{'x' * 100}/report.md", "written: a b.csv"]


def test_a_fold_of_many_blocks_is_a_table_at_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = ["block", "C", "gate", "sd", "varies", "output error", "params", "kMAC", "time", "order"]
    row = ["blocks.3.0.se", "120", "0.619", "0.000", "5.6e-06 %", "3.4e-05 %", "7,832", "7.7", "2.6 %", "2"]
    monkeypatch.setenv("COLUMNS", "80")
    rows = [[*row, "blocks.3.0.conv_pwl (after)"]] * 9
    show(Table([*heads, "constants went to"], rows, words=WORDS_OF_FOLD, spare=SPARE))
    out = capsys.readouterr().out
    assert len([line for line in out.splitlines() if "blocks.3.0.se" in line and "conv_pwl" in line]) == 9
    assert "not shown, as the terminal is too narrow: kMAC, sd" in out
