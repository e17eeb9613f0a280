"""Tables on the terminal: whole cells, numbers right, words left, nothing read as markup."""

import pytest

from senet.console import show_records, show_rows


def test_cells_are_printed_as_they_are_and_none_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(["design", "note"], [["[bold]wide[/bold]", "x" * 150]])
    out = capsys.readouterr().out
    assert "[bold]wide[/bold]" in out
    assert "x" * 150 in out


def test_a_heading_breaks_before_its_unit_or_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(["a", "top-1 error [%]", "constants went to"], [["1", "2", "3"]], title="Title")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].strip() == "Title"
    assert lines[1].split() == ["top-1", "error", "constants"]
    assert lines[2].split() == ["a", "[%]", "went", "to"]


def test_words_stand_left_with_a_gap_and_numbers_right(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(["n", "size", "place"], [["1", "5", "here"], ["2", "500", "nowhere"]], words={"place"})
    rows = [line for line in capsys.readouterr().out.splitlines() if "here" in line]
    assert [row.rstrip() for row in rows] == [" 1    5  here", " 2  500  nowhere"]


def test_records_are_a_line_each_with_separators(capsys: pytest.CaptureFixture[str]) -> None:
    show_records([{"network": "a", "params": 1234567}, {"network": "b", "params": 5}])
    out = capsys.readouterr().out
    assert "1,234,567" in out
    assert len([line for line in out.splitlines() if line.strip()]) == 4
