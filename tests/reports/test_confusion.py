"""Matrices and accuracy by class: counted right, drawn, and written as plain numbers."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from study_results import SHORT, results

from senet.experiments.study import Row, Study
from senet.experiments.summary import summarize
from senet.reports.confusion import Answers, class_csv, confusion_csv, draw_classes, draw_confusion
from senet.reports.study_report import draw_pictures
from senet.spec import SESpec

TWO = Answers(label="plain", classes=("cat", "dog"), confusion=((40, 10), (5, 45)))
EMPTY = Answers(label="none", classes=("cat", "dog"), confusion=((0, 0), (1, 3)))


def test_accuracy_by_class_has_its_binomial_error() -> None:
    assert (TWO.correct, TWO.total) == (85, 100)
    assert TWO.class_accuracy == (80.0, 90.0)
    assert TWO.class_error == pytest.approx((100 * math.sqrt(0.16 / 50), 100 * math.sqrt(0.09 / 50)))


def test_a_class_without_images_has_no_accuracy_and_an_empty_cell() -> None:
    assert math.isnan(EMPTY.class_accuracy[0])
    cat, dog = csv.DictReader(io.StringIO(class_csv([EMPTY])))
    assert (cat["accuracy"], cat["standard_error"], cat["images"]) == ("", "", "0")
    assert float(dog["accuracy"]) == 75


def test_the_matrix_is_written_cell_by_cell() -> None:
    rows = list(csv.DictReader(io.StringIO(confusion_csv([TWO, EMPTY]))))
    assert len(rows) == 8
    assert [int(row["images"]) for row in rows] == [40, 10, 5, 45, 0, 0, 1, 3]
    assert (rows[1]["network"], rows[1]["class"], rows[1]["answer"]) == ("plain", "cat", "dog")


def study(**pictures: tuple[str, ...]) -> Study:
    rows = (
        Row(id="plain", label="Plain", run=SHORT),
        Row(id="se", label="SE", run=replace(SHORT, se=(SESpec(),))),
        Row(id="bump", label="Bump", run=replace(SHORT, se=(SESpec(variant="bump"),))),
    )
    return Study(name="s", title="t", rows=rows, seeds=(0, 1), pictures=tuple(pictures.items()))


def test_a_study_gets_the_pictures_it_asks_for(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    mine = study(curves=(), confusion=("plain", "se"), per_class=("plain", "se", "bump"))
    correct = {"plain": {0: 700, 1: 710}, "se": {0: 720, 1: 730}}
    files = draw_pictures(mine, summarize(mine, results(mine, correct)), tmp_path)
    names = ["curves.png", "confusion.png", "confusion.csv", "per_class.png", "per_class.csv"]
    assert [file.name for file in files] == names
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith("png"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "confusion.csv").read_text())))
    assert {row["network"] for row in rows} == {"Plain", "SE"}, "rows without results are left out"
    assert sum(int(row["images"]) for row in rows) == 2 * 2 * 1000, "seeds are added"


def test_without_results_nothing_is_drawn(tmp_path: Path) -> None:
    mine = study(curves=(), confusion=())
    assert draw_pictures(mine, summarize(mine, {}), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_many_classes_are_drawn_without_numbers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    classes = tuple(f"class {number}" for number in range(30))
    one = Answers(label="a", classes=classes, confusion=tuple(tuple(int(i == j) for j in range(30)) for i in range(30)))
    draw_confusion([one], tmp_path / "confusion.png")
    draw_classes([one, one], tmp_path / "classes.png")
    assert (tmp_path / "classes.png").stat().st_size > 1000
