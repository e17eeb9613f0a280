"""Studies: what a file says is what runs, all of it checked before the first run."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from senet.errors import DataError, SpecError
from senet.experiments.recipe import RECIPES
from senet.experiments.run import Run
from senet.experiments.study import METRICS, Row, Study, read_study
from senet.spec import SESpec

STUDIES = Path(__file__).parents[2] / "studies"
FILES = sorted(STUDIES.glob("*.toml"))

BASE = """
title = "A title"
source = "a paper, Table 1"
cost = "a minute"
assumed = ["this", "that"]
deviations = ["other data"]
seeds = [3, 1]

[base]
model = "resnet20"
data = "cifar10"
recipe = { preset = "sgd-cosine", epochs = 5 }
"""
ROWS = """
[[rows]]
id = "plain"
label = "Plain | network"
paper = { accuracy = 90, loss = 0.5 }

[[rows]]
id = "se"
se = "slow_both:reduction=8"
data = { train_size = 100 }
recipe = { optim = { lr = 0.5 } }

[[rows]]
id = "two"
se = [{ slot = "pre" }, { slot = "post" }]
recipe = "kth-paper"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, **changes: Any) -> Study:
    return read_study(write(folder, text), changes=changes)


def refused(folder: Path, text: str, **changes: Any) -> str:
    """Return the sentence with which a study is refused, without the name of the file before it."""
    path = write(folder, text)
    with pytest.raises(SpecError) as caught:
        read_study(path, changes=changes)
    sentence = str(caught.value)
    assert sentence.startswith((f"{path}: ", f"{path.stem}: "))
    assert len(sentence.splitlines()) == 1
    return sentence.partition(": ")[2]


# ---- the studies of the papers


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_study_decodes_and_says_what_it_costs(path: Path) -> None:
    study = read_study(path)
    assert study.name == path.stem
    assert study.title
    assert study.cost
    assert len(study.runs()) == len({row.run for row in study.rows}) * len(study.seeds)
    one_paper = any(name != "top1_gain" for row in study.rows for name, _ in row.paper)  # gains may be of several
    assert one_paper == bool(study.source)


def test_there_are_studies() -> None:
    assert {"variations_table1", "variations_table1_quick"} <= {path.stem for path in FILES}


@pytest.mark.parametrize("name", ["variations_table1", "variations_table1_quick"])
def test_the_paper_numbers_of_table_1_are_the_transcribed_ones(name: str, shared: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    tables = yaml.safe_load((shared / "papers" / "variations.yaml").read_text(encoding="utf-8"))["tables"]
    table = next(table for table in tables if table["id"] == "variations/table1")
    study = read_study(STUDIES / f"{name}.toml")
    assert [(row.id, row.label, dict(row.paper)) for row in study.rows] == [
        (row["id"], row["printed"], row["values"]) for row in table["rows"]
    ]
    variants = {"se": "standard"}
    for row, transcribed in zip(study.rows, table["rows"], strict=True):
        designs = [spec.variant for spec in row.run.se]
        wanted = transcribed["se"]
        assert designs == ([] if wanted is None else [variants.get(wanted["variant"], wanted["variant"])])
        assert all(not spec.bias and spec.reduction == 16 for spec in row.run.se)
    stated = table["training"]["stated"]
    recipe = read_study(STUDIES / "variations_table1.toml").rows[0].run.recipe
    assert recipe.batch_size == stated["batch_size"]
    assert recipe.epochs == stated["epochs"]
    assert recipe.optim.name == stated["optimizer"].lower()
    assert recipe.optim.lr == stated["learning_rate"]
    assert recipe.schedule.gamma == stated["gamma"]


def test_rows_of_table_1_differ_in_their_blocks_only() -> None:
    study = read_study(STUDIES / "variations_table1.toml")
    assert {dataclasses.replace(row.run, se=()) for row in study.rows} == {study.rows[0].run}
    assert study.baseline == "default"
    assert study.seeds == (0, 1, 2, 3, 4)


# ---- rows


def test_rows_are_put_over_the_base(tmp_path: Path) -> None:
    study = read(tmp_path, BASE + ROWS)
    plain, se, two = study.rows
    assert plain.run.recipe == dataclasses.replace(RECIPES["sgd-cosine"], epochs=5)
    assert plain.run.data.name == "cifar10"
    assert plain.run.se == ()
    assert se.run.se == (SESpec(variant="slow_both", reduction=8),)
    assert (se.run.data.name, se.run.data.train_size) == ("cifar10", 100)
    assert (se.run.recipe.epochs, se.run.recipe.optim.lr, se.run.recipe.optim.nesterov) == (5, 0.5, True)
    assert [spec.slot for spec in two.run.se] == ["pre", "post"]
    assert two.run.recipe == dataclasses.replace(RECIPES["kth-paper"], epochs=5)


def test_what_is_said_about_a_study_comes_back(tmp_path: Path) -> None:
    study = read(tmp_path, BASE + ROWS)
    assert (study.name, study.title, study.source, study.cost) == ("study", "A title", "a paper, Table 1", "a minute")
    assert (study.assumed, study.deviations) == (("this", "that"), ("other data",))
    assert (study.baseline, study.seeds) == ("plain", (3, 1))
    assert [(row.id, row.label) for row in study.rows] == [("plain", "Plain | network"), ("se", "se"), ("two", "two")]
    assert study.rows[0].paper == (("accuracy", 90.0), ("loss", 0.5))
    assert study.rows[1].paper == ()


def test_a_study_needs_little(tmp_path: Path) -> None:
    study = read(tmp_path, '[[rows]]\nid = "only"\n')
    assert study.runs() == [Run()]
    assert (study.title, study.source, study.seeds, study.baseline) == ("", "", (0,), "only")


# ---- axes


def test_the_last_axis_runs_fastest(tmp_path: Path) -> None:
    text = '[axes]\nmodel = ["resnet20", "cnn3"]\n"recipe.optim.lr" = [0.1, 0.05]\n"recipe.epochs" = [1, 2, 3]\n'
    study = read(tmp_path, text)
    cells = [(row.run.model, row.run.recipe.optim.lr, row.run.recipe.epochs) for row in study.rows]
    assert cells == list(itertools.product(["resnet20", "cnn3"], [0.1, 0.05], [1, 2, 3]))
    assert study.rows[1].id == "model=resnet20 recipe.optim.lr=0.1 recipe.epochs=2"
    assert study.baseline == study.rows[0].id


def test_axes_name_designs_by_their_words(tmp_path: Path) -> None:
    study = read(tmp_path, '[axes]\nse = [[], [{ reduction = 4 }], "bump:reduction=8", { gate = "tanh" }]\n')
    assert [row.label for row in study.rows] == ["plain", "standard r=4", "bump r=8", "standard r=16 gate=tanh"]
    assert [row.run.design for row in study.rows] == [row.label for row in study.rows]


def test_an_axis_of_seeds_repeats_the_rows(tmp_path: Path) -> None:
    study = read(tmp_path, "[axes]\nse = [[], [{ reduction = 4 }]]\nseed = [0, 1, 2]\n")
    assert [row.label for row in study.rows] == ["plain", "standard r=4"]
    assert study.seeds == (0, 1, 2)
    assert len(study.runs()) == 6


def test_axes_change_parts_of_the_base(tmp_path: Path) -> None:
    study = read(tmp_path, BASE + '[axes]\n"data.train_size" = [10, 20]\nrecipe = ["kth-paper", "sgd-cosine"]\n')
    assert [row.run.data.name for row in study.rows] == ["cifar10"] * 4
    assert [row.run.data.train_size for row in study.rows] == [10, 10, 20, 20]
    assert [row.run.recipe.optim.name for row in study.rows] == ["adam", "sgd"] * 2
    assert {row.run.recipe.epochs for row in study.rows} == {5}


# ---- runs


def test_runs_go_seed_by_seed_so_that_a_half_done_study_has_pairs(tmp_path: Path) -> None:
    study = read(tmp_path, BASE + ROWS)
    assert [(run.seed, run.design) for run in study.runs()] == [
        (seed, row.run.design) for seed in (3, 1) for row in study.rows
    ]
    assert study.runs()[1] == study.run(study.rows[1], 3)


def test_equal_rows_are_run_once(tmp_path: Path) -> None:
    text = 'seeds = [0, 1]\n[[rows]]\nid = "a"\n[[rows]]\nid = "b"\nse = []\n[[rows]]\nid = "c"\nse = "bump"\n'
    study = read(tmp_path, text)
    assert len(study.rows) == 3
    assert len(study.runs()) == 4
    assert len({run.id for run in study.runs()}) == 4


# ---- changes from the command line


def test_changes_reach_every_row_and_are_told_as_a_deviation(tmp_path: Path) -> None:
    study = read(tmp_path, BASE + ROWS, recipe={"epochs": 2, "optim": {"lr": 0.3}}, model="cnn3")
    assert {(row.run.model, row.run.recipe.epochs, row.run.recipe.optim.lr) for row in study.rows} == {("cnn3", 2, 0.3)}
    assert study.deviations == (
        "other data",
        "changed on the command line: recipe.epochs=2, recipe.optim.lr=0.3, model=cnn3",
    )


def test_a_title_tells_of_another_network_or_data_set(tmp_path: Path) -> None:
    text = """
        title = "Blocks in ResNet-20"
        [base]
        model = "resnet20"
        [[rows]]
        id = "plain"
        [[rows]]
        id = "se"
        se = "standard"
    """
    assert read(tmp_path, text).title == "Blocks in ResNet-20"
    assert read(tmp_path, text, recipe={"epochs": 3}).title == "Blocks in ResNet-20"
    assert read(tmp_path, text, model="resnet20").title == "Blocks in ResNet-20"
    assert read(tmp_path, text, model="resnet8").title == "Blocks in ResNet-20 (here with resnet8)"
    changed = read(tmp_path, text, model="resnet8", data={"name": "control"})
    assert changed.title == "Blocks in ResNet-20 (here with resnet8 on control)"


def test_a_change_of_the_data_keeps_its_name_and_a_change_of_its_name_the_rest(tmp_path: Path) -> None:
    smaller = read(tmp_path, BASE + ROWS, data={"train_size": 50})
    assert {(row.run.data.name, row.run.data.train_size) for row in smaller.rows} == {("cifar10", 50)}
    other = read(tmp_path, BASE + ROWS, data="svhn")
    assert [(row.run.data.name, row.run.data.train_size) for row in other.rows] == [
        ("svhn", 0),
        ("svhn", 100),
        ("svhn", 0),
    ]


def test_a_change_of_the_blocks_changes_designs_and_leaves_plain_rows_plain(tmp_path: Path) -> None:
    study = read(tmp_path, BASE + ROWS, se={"bias": False, "reduction": 4})
    assert [row.run.design for row in study.rows] == [
        "plain",
        "slow_both r=4 no-bias",
        "standard r=4 slot=pre no-bias + standard r=4 slot=post no-bias",
    ]


def test_seeds_can_be_replaced_and_are_no_deviation_of_the_rows(tmp_path: Path) -> None:
    study = read(tmp_path, BASE + ROWS, seeds=[7])
    assert study.seeds == (7,)
    assert {run.seed for run in study.runs()} == {7}
    assert study.deviations == ("other data",)


# ---- the quick scale

QUICK = """
[quick]
seeds = [0]
cost = "seconds"
deviations = ["fewer images"]
run = { data = { train_size = 100 }, recipe = { epochs = 1 } }
"""


def test_the_quick_scale_is_put_over_every_row_and_told_field_by_field(tmp_path: Path) -> None:
    path = write(tmp_path, BASE + QUICK + ROWS.replace('id = "two"', 'id = "two"\nquick = { model = "resnet8" }'))
    full, quick = read_study(path), read_study(path, quick=True)
    assert (full.name, full.seeds, full.cost, full.scaled) == ("study", (3, 1), "a minute", ())
    assert (quick.name, quick.title, quick.seeds, quick.cost) == ("study_quick", "Quick: A title", (0,), "seconds")
    assert [row.run.recipe.epochs for row in quick.rows] == [1, 1, 1]
    assert [row.run.data.train_size for row in quick.rows] == [100, 100, 100]
    assert [row.run.model for row in quick.rows] == ["resnet20", "resnet20", "resnet8"]
    assert [row.run.se for row in quick.rows] == [row.run.se for row in full.rows]
    assert quick.scaled == (
        "data.train_size: 0 -> 100 (all but se)",
        "recipe.epochs: 5 -> 1",
        "model: resnet20 -> resnet8 (two)",
        "seeds: (3, 1) -> (0)",
    )
    assert quick.deviations == ("other data", "fewer images")
    assert quick.repeated(2).scaled == (*quick.scaled[:-1], "seeds: (3, 1) -> (0, 1)")
    assert dataclasses.replace(quick, seeds=(3, 1)).repeated(2).scaled == quick.scaled[:-1]


def test_the_command_line_goes_over_the_quick_scale(tmp_path: Path) -> None:
    path = write(tmp_path, BASE + QUICK + ROWS)
    quick = read_study(path, changes={"recipe": {"epochs": 2}, "seeds": [4, 5]}, quick=True)
    assert {row.run.recipe.epochs for row in quick.rows} == {2}
    assert quick.seeds == (4, 5)
    assert quick.deviations[-1] == "changed on the command line: recipe.epochs=2"


def test_a_study_without_a_quick_scale_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"has no \[quick\] table; run it at full scale"):
        read_study(write(tmp_path, BASE + ROWS), quick=True)


def test_the_quick_scale_of_table_1_is_the_committed_one() -> None:
    whole, own = (read_study(STUDIES / f"{name}.toml", quick=quick) for name, quick in (
        ("variations_table1", True), ("variations_table1_quick", False),
    ))  # fmt: skip
    assert whole.name == own.name
    assert whole.runs() == own.runs()


# ---- several baselines


def test_rows_are_compared_with_the_row_they_name(tmp_path: Path) -> None:
    text = (
        '[[rows]]\nid = "a"\n[[rows]]\nid = "b"\nse = "bump"\n[[rows]]\nid = "c"\nmodel = "cnn3"\n'
        '[[rows]]\nid = "d"\nmodel = "cnn3"\nse = "bump"\nversus = "c"\n[[rows]]\nid = "e"\nquoted = true\n'
    )
    study = read(tmp_path, text)
    assert [study.reference(row) for row in study.rows] == [None, "a", None, "c", None]
    assert [row.quoted for row in study.rows] == [False] * 4 + [True]


# ---- errors


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no rows; give [[rows]] or [axes]."),
        ('titel = "x"\n' + ROWS, "titel is not known; choose one of: assumed, axes, base, baseline"),
        ("title = 3\n" + ROWS, "title = 3 does not fit: input should be a valid string."),
        ('assumed = "one"\n' + ROWS, "assumed = 'one' is not a list; write [VALUE, VALUE]."),
        ("assumed = [1]\n" + ROWS, "assumed[0] = 1 does not fit: input should be a valid string."),
        ("seeds = 3\n" + ROWS, "seeds = 3 is not a list; write [VALUE, VALUE]."),
        ('seeds = [0, "1"]\n' + ROWS, "seeds[1] = '1' does not fit: input should be a valid integer."),
        ("seeds = [true]\n" + ROWS, "seeds[0] = True does not fit"),
        ("seeds = []\n" + ROWS, "seeds = (); give whole numbers from 0, at least one, each once."),
        ("seeds = [1, 1]\n" + ROWS, "seeds = (1, 1); give whole numbers from 0, at least one, each once."),
        ("seeds = [-1]\n" + ROWS, "seeds = (-1,); give whole numbers from 0"),
        ('baseline = "plian"\n' + ROWS, "baseline = 'plian' is not known; choose one of: plain, se, two. Did you mean"),
        ('[[rows]]\nid = "a"\nversus = "b"\n', "rows[0].versus = 'b' is not known; choose one of: a"),
        ("[pictures]\nmatrix = []\n" + ROWS, "pictures = 'matrix' is not known; choose one of: confusion, curves"),
        ('[pictures]\ncurves = ["x"]\n' + ROWS, "pictures.curves = 'x' is not known; choose one of: plain, se, two"),
        ("rows = 3\n", "rows = 3 is not a list; write [VALUE, VALUE]."),
        ("rows = [3]\n", "rows[0] = 3 does not fit"),
        ("base = 3\n" + ROWS, "base = 3 does not fit"),
        ("axes = [1]\n", "axes = [1] does not fit"),
        ("[axes]\nmodel = 3\n", "axes.model = 3 is not a list; write [VALUE, VALUE]."),
        ('[axes]\nmodel = "abc"\n', "axes.model = 'abc' is not a list; write [VALUE, VALUE]."),
        ("[[rows]]\n", "rows[0]: id is missing."),
        ("[[rows]]\nid = 3\n", "rows[0]: id = 3 does not fit"),
        ('[[rows]]\nid = "a"\npaper = 3\n', "rows[0]: paper = 3 does not fit"),
        ('[[rows]]\nid = "a"\npaper = { accuracy = "high" }\n', "rows[0]: paper.accuracy = 'high' does not fit"),
        ('[[rows]]\nid = "a"\npaper = { accuray = 1 }\n', "rows[0].paper = 'accuray' is not known; choose one of"),
        ('[[rows]]\nid = "a"\n[[rows]]\nid = "a"\n', "rows: the id 'a' appears twice; ids must be unique."),
        ('[[rows]]\nid = "a"\nepochs = 3\n', "rows[0]: epochs is not known"),
        ('[[rows]]\nid = "a"\n[[rows]]\nid = "b"\nse = { gate = "x" }\n', "rows[1]: se.gate = 'x' is not known"),
        ('[base]\nrecipe = "none"\n[[rows]]\nid = "a"\n', "rows[0]: recipe.preset = 'none' is not known"),
        ('[base.recipe.optim]\nlr = -1\n[[rows]]\nid = "a"\n', "rows[0]: recipe.optim.lr = -1.0 is out of range"),
        ('[axes]\nse = ["standrad"]\n', "axes: se = 'standrad' is not known"),
        ("[axes]\nmodel = []\n", "no rows; give [[rows]] or [axes]."),
        ('[axes]\nmodel = ["a", "a"]\n', "rows: the id 'model=a' appears twice"),
        ("seeds = [1]\n[axes]\nseed = [1, 2]\n", "axes.seed and seeds both name the seeds; keep one."),
        ('[base]\nseed = 3\n[[rows]]\nid = "a"\n', "rows[0]: seed = 3 would be ignored; set seeds = [...]"),
        ('[[rows]]\nid = "a"\nseed = 3\n', "rows[0]: seed = 3 would be ignored"),
    ],
)
def test_a_mistake_in_a_study_is_one_line_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    assert refused(tmp_path, text).startswith(sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recipe": {"epoch": 3}}, "rows[0]: recipe.epoch is not known"),
        ({"seed": 3}, "rows[0]: seed = 3 would be ignored; set seeds = [...] of the study."),
        ({"seeds": 3}, "seeds = 3 is not a list"),
        ({"seeds": ["a"]}, "seeds[0] = 'a' does not fit"),
        ({"se": {"reduction": 0}}, "rows[1]: se[0].reduction = 0 is not a ratio"),
        ({"title": "x"}, "rows[0]: title is not known"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_with_its_place(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    assert refused(tmp_path, BASE + ROWS, **changes).startswith(sentence)


def test_a_missing_study_is_an_error_of_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml does not exist"):
        read_study(tmp_path / "none.toml")


def test_reading_changes_nothing_of_the_callers(tmp_path: Path) -> None:
    changes = {"seeds": [1], "recipe": {"epochs": 2}, "se": {"reduction": 4}}
    read(tmp_path, BASE + ROWS, **changes)
    path = write(tmp_path, BASE + ROWS)
    read_study(path, changes=changes)
    assert changes == {"seeds": [1], "recipe": {"epochs": 2}, "se": {"reduction": 4}}


# ---- studies made in Python


def test_a_study_made_in_python_is_checked_in_the_same_way() -> None:
    rows = (Row(id="a", label="A", run=Run()), Row(id="b", label="B", run=Run(se=(SESpec(),))))
    study = Study(name="mine", title="t", rows=rows, seeds=(0, 1))
    assert study.baseline == "a"
    assert len(study.runs()) == 4
    with pytest.raises(SpecError, match="mine: no rows"):
        Study(name="mine", title="t", rows=())
    with pytest.raises(SpecError, match=r"mine: seeds = \(0, 0\)"):
        Study(name="mine", title="t", rows=rows, seeds=(0, 0))
    with pytest.raises(SpecError, match="mine: baseline = 'c' is not known; choose one of: a, b"):
        Study(name="mine", title="t", rows=rows, baseline="c")
    with pytest.raises(SpecError, match="mine: rows: the id 'a' appears twice"):
        Study(name="mine", title="t", rows=(rows[0], rows[0]))


def test_the_metrics_of_papers_are_known() -> None:
    assert {name for name, known in METRICS.items() if known.kind == "measured"} == {
        "accuracy", "accuracy5", "top1_error", "top5_error", "loss",
    }  # fmt: skip
    assert [name for name, known in METRICS.items() if known.kind == "counted"] == ["params_m", "gflops", "mflops"]
