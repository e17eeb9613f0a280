"""Reports in a folder: whole files, beside those of others, without figures where none can be drawn."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from study_results import SHORT, result, results, study
from test_table import senets

from senet.errors import CheckpointError, StorageError
from senet.execution.store import write_results
from senet.experiments.run import Run
from senet.experiments.study import Row, Study
from senet.experiments.summary import summarize
from senet.reports import canvas
from senet.reports.answer import answer
from senet.reports.canvas import name_points, short
from senet.reports.looks import BLACK, looks
from senet.reports.study_figure import study_looks
from senet.reports.study_report import free_folder, write_report
from senet.reports.study_table import cells, columns, csv_text
from senet.spec import SESpec

CORRECT = {"plain": {0: 700, 1: 710}, "se": {0: 720, 1: 735}, "bump": {0: 700, 1: 702}}
PICTURES = (("curves", ()), ("confusion", ("plain", "se")), ("per_class", ()))


def text(study: Study, folder: Path) -> str:
    write_report(study, results(study, CORRECT), folder, command="senet run s.toml")
    return (folder / "report.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("no_matplotlib")
def test_a_report_says_on_what_and_for_how_long_it_was_trained(tmp_path: Path) -> None:
    report = text(study((0, 1)), tmp_path)
    assert (
        "- Each network was trained for 2 epochs of 10 training images, tested on 1,000 images of 2 classes." in report
    )
    assert "- Command: `senet run s.toml`" in report
    assert "**Verdict, where a difference of 0.5 points matters (--margin)**" in report
    assert "- SE, Bump: undecided: the results do not record which test images were classified correctly" in report
    assert "no design differs" not in report


@pytest.mark.usefixtures("no_matplotlib")
def test_a_fine_tuning_is_held_against_the_weights_that_it_started_from(tmp_path: Path) -> None:
    mine = study((0, 1))
    started = {run: replace(one, start=715) for run, one in results(mine, CORRECT).items()}
    write_report(mine, started, tmp_path, command="senet run s.toml")
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "- Before the training, the weights classified 71.50 % of the test images correctly" in report
    lost = "Plain -1.0 points, Bump -1.4 points"
    assert f"Caution: the training lost accuracy that the weights had before: {lost}; lower optim.lr" in report


@pytest.mark.usefixtures("no_matplotlib")
def test_one_epoch_is_not_several(tmp_path: Path) -> None:
    one = replace(SHORT, recipe=replace(SHORT.recipe, epochs=1))
    mine = Study(name="s", title="t", rows=(Row(id="a", label="A", run=one),))
    write_report(mine, {one: result(one, 700, epochs=1)}, tmp_path, command="senet run")
    assert "1 epochs" not in (tmp_path / "report.md").read_text()


# ---- without matplotlib


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_there_is_a_report_without_figures_that_says_what_to_install(tmp_path: Path) -> None:
    report = text(replace(study((0, 1)), pictures=PICTURES), tmp_path)
    assert "- No figures: a figure needs matplotlib; run: pip install matplotlib" in report
    assert "![" not in report
    names = {"report.md", "table.csv", "results.jsonl", "confusion.csv", "per_class.csv"}
    assert {path.name for path in tmp_path.iterdir()} == names


# ---- files that are whole


def test_a_full_disk_leaves_the_old_figure_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    mine = replace(study((0, 1)), pictures=PICTURES[1:2])
    files = write_report(mine, results(mine, CORRECT), tmp_path, command="senet run")
    before = {file: file.read_bytes() for file in files}
    assert len([file for file in files if file.suffix == ".png"]) == 2

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("senet.files.atomic.write_synced", full)
    for file in files:
        if file.suffix == ".png":
            with pytest.raises(StorageError, match="no space left on the disk"), canvas.canvas(file, 2, 2):
                pass
    with pytest.raises(StorageError, match="no space left on the disk"):
        write_report(mine, results(mine, CORRECT), tmp_path, command="senet run")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before, "nothing half, nothing left over"


def write_often(folder: Path) -> None:
    for _ in range(4):
        with canvas.canvas(folder / "figure.png", 1, 1):
            pass


def test_two_writers_never_show_half_a_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    write_often(tmp_path)
    writers = [multiprocessing.get_context("fork").Process(target=write_often, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    looked = 0
    while any(writer.is_alive() for writer in writers):
        found = (tmp_path / "figure.png").read_bytes()
        assert found.startswith(b"\x89PNG")
        assert found.endswith(b"IEND\xaeB`\x82")
        looked += 1
    for writer in writers:
        writer.join()
    assert looked > 10
    assert [writer.exitcode for writer in writers] == [0, 0]


# ---- beside the reports of others


def listed(folder: Path, *runs: Run) -> Path:
    folder.mkdir()
    write_results(folder / "results.jsonl", [result(run, 700, epochs=run.recipe.epochs) for run in runs])
    return folder


def test_a_report_takes_the_place_of_its_own_and_of_no_other(tmp_path: Path) -> None:
    place, gated = tmp_path / "digits-resnet8", replace(SHORT, se=(SESpec(),))
    wanted = {SHORT, gated, replace(SHORT, seed=1), replace(gated, seed=1)}
    assert free_folder(place, wanted.__contains__) == place, "a new one"
    listed(place, SHORT, gated)
    assert free_folder(place, wanted.__contains__) == place, "with more seeds"
    assert free_folder(place, {SHORT, gated}.__contains__) == place, "the same again"
    other = place.with_name("digits-resnet8-2")
    for changed in (
        {SHORT},  # fewer designs
        {replace(SHORT, recipe=replace(SHORT.recipe, epochs=1)), gated},
        {replace(SHORT, data=replace(SHORT.data, train_size=100))},
        {replace(run, seed=7) for run in wanted},
    ):
        assert free_folder(place, changed.__contains__) == other
    listed(other, replace(SHORT, seed=9))
    assert free_folder(place, {SHORT}.__contains__) == tmp_path / "digits-resnet8-3"
    assert free_folder(place, {replace(SHORT, seed=9)}.__contains__) == other, "its own is found again"


def test_a_damaged_list_is_no_place_for_another_report(tmp_path: Path) -> None:
    listed(tmp_path / "a")
    (tmp_path / "a" / "results.jsonl").write_text("{")
    assert free_folder(tmp_path / "a", lambda run: True) == tmp_path / "a-2"


def test_nothing_is_written_of_results_of_different_images(tmp_path: Path) -> None:
    mine = study((0, 1))
    made = results(mine, CORRECT)
    run = next(iter(made))
    with pytest.raises(CheckpointError, match="used different images"):
        write_report(mine, {**made, run: replace(made[run], data="others")}, tmp_path / "r", command="senet run")
    assert not (tmp_path / "r").exists()


# ---- the quick scale


def test_a_quick_table_sets_no_other_network_beside_the_papers(tmp_path: Path) -> None:
    full = senets()
    quick = replace(full, scaled=("model: resnet50 -> resnet20",))
    assert {"ours - paper", "paper", "paper [M]"} <= set(columns(full))
    assert not {"ours - paper", "paper", "paper [M]", "paper [G]"} & set(columns(quick))
    assert "paper's difference" in columns(quick)
    lines = summarize(quick, {})
    assert {len(row) for row in cells(quick, lines)} == {len(columns(quick))}
    assert "1.51" in csv_text(quick, lines), "the paper's numbers stay in the table of numbers"


# ---- the answer


def test_the_answer_has_means_differences_intervals_and_verdicts() -> None:
    mine = study((0, 1))
    said = json.loads(json.dumps(answer(mine, summarize(mine, results(mine, CORRECT))), allow_nan=False))
    plain, se, _ = said["rows"]
    assert (said["baseline"], said["seeds"], said["looks"], said["margin"]) == ("plain", [0, 1], [], 0.5)
    assert said["half_done"] is False
    assert any("two seeds" in caution for caution in said["cautions"])
    assert "95 % intervals cover" in said["intervals"]
    assert (plain["verdict"], se["verdict"]["word"]) == (None, "undecided")
    assert se["difference"]["images"] == "unpaired"
    assert (plain["difference"], plain["versus"], se["versus"]) == (None, None, "plain")
    assert se["metrics"]["accuracy"] == {"mean": pytest.approx(72.75), "sd": pytest.approx(1.06066), "n": 2}
    assert se["difference"]["mean"] == pytest.approx(2.25)
    assert se["difference"]["low"] < 2.25 < se["difference"]["high"]
    assert se["difference"]["p"] is None, "of two seeds"
    assert se["difference"]["visible"] > se["difference"]["high"] - 2.25
    assert (se["n"], se["missing"], se["params"]) == (2, [], 110)


def test_what_is_not_known_is_null_in_the_answer() -> None:
    mine = study((0, 1))
    said = answer(mine, summarize(mine, results(mine, {"plain": {0: 700}})))
    _, se, _ = json.loads(json.dumps(said, allow_nan=False))["rows"]
    assert (se["params"], se["seconds"], se["missing"]) == (None, None, [0, 1])
    unknown = dict.fromkeys(("mean", "low", "high", "visible", "p", "images"))
    assert se["difference"] == {**unknown, "n": 0, "df": 0, "common_spread": False}
    assert said["half_done"] is True


# ---- looks


@pytest.mark.parametrize("number", [1, 2, 7, 8, 16, 40])
def test_every_design_has_a_look_of_its_own(number: int) -> None:
    names = ["plain", *(f"standard r={r}" for r in range(2, 1 + number))]
    found = looks(names)
    assert len({(look.color, look.marker) for look in found[:40]}) == len(found[:40])
    assert len(set(found)) == len(found)
    assert found[0].color == BLACK
    assert all(look.color != BLACK and look.marker != found[0].marker for look in found[1:])
    if number <= 7:  # neither colour nor marker alone tells a design, and each of the two would
        assert len({look.color for look in found}) == len({look.marker for look in found}) == len(found)


def test_a_design_keeps_its_look_from_study_to_study() -> None:
    usual = ["plain", "standard r=16", "standard r=4", "slow_both r=16", "bump r=16"]
    assert looks(usual[2:]) == looks(usual)[2:]
    assert looks([*reversed(usual)]) == [*reversed(looks(usual))]
    assert looks(["standard r=8-8-8", "plain"]) == looks(["standard r=8", "plain"])
    others = [f"standard r={r}-16-{s}" for r in (2, 4, 8, 16) for s in (2, 4, 8, 16)]
    many = dict(zip(others, looks(others), strict=True))
    assert sum(looks([name])[0] == many[name] for name in others) >= 12  # few meet another of the same look
    rows = [Row(id="a", label="A", run=SHORT), Row(id="b", label="B", run=replace(SHORT, se=(SESpec(variant="bump"),)))]
    assert study_looks(Study(name="s", title="t", rows=tuple(rows)))["b"] == looks(["bump r=16"])[0]


@pytest.mark.parametrize("designs", [9, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 20))])
def test_any_number_of_designs_is_drawn(designs: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    runs = [SHORT, *(replace(SHORT, se=(SESpec(reduction=r),)) for r in range(2, 1 + designs))]
    rows = tuple(Row(id=run.design, label=run.design, run=run) for run in runs)
    mine = Study(name="s", title="t", rows=rows, seeds=(0,), pictures=(("curves", ()),))
    files = write_report(mine, {run: result(run, 700) for run in runs}, tmp_path, command="senet run")
    assert {"figure.png", "curves.png"} <= {file.name for file in files}


@pytest.mark.parametrize("number", [1, 5, 12])
def test_names_of_points_cover_neither_each_other_nor_a_point(number: int, tmp_path: Path) -> None:
    text = pytest.importorskip("matplotlib.text", reason="matplotlib is not installed")
    points = [(at % 4, 40 + at // 4 / 10, 0.3) for at in range(number)]
    with canvas.canvas(tmp_path / "figure.png", 4, 3) as figure:
        axes = figure.subplots()
        for x, y, bar in points:
            axes.errorbar(x, y, yerr=bar)
        name_points(axes, [f"name {at}" for at in range(number)], points)
        figure.draw_without_rendering()
        boxes = [text.Text.get_window_extent(name) for name in axes.texts]
        assert len(boxes) >= min(number, 5)
        assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])
        assert not any(box.contains(*axes.transData.transform((x, y))) for box in boxes for x, y, _ in points)


def test_a_figure_has_the_look_of_all_others_whatever_the_caller_has_set(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    with canvas.canvas(tmp_path / "one.png", 2, 2, title="a", caption="b"):
        pass
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "figure.facecolor": "red"}):
        with canvas.canvas(tmp_path / "two.png", 2, 2, title="a", caption="b"):
            pass
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("epochs", [1, 2, 3, 15])
def test_epochs_are_whole_numbers_within_the_axis(epochs: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    with canvas.canvas(tmp_path / "figure.png", 4, 3) as figure:
        axes = figure.subplots()
        axes.plot(range(1, 1 + epochs), [0.5] * epochs, "o")
        canvas.epoch_axis(axes, epochs)
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert all(tick == round(tick) and 1 <= tick <= epochs for tick in ticks)
    assert len(ticks) >= min(epochs, 3)
    assert low < 1 <= epochs < high


@pytest.mark.parametrize(("label", "said"), [("a", "a"), ("x" * 50, "x" * 4 + "..." + "x" * 3), ("a\nb", "a\\nb")])
def test_a_label_of_a_figure_is_short(label: str, said: str) -> None:
    assert short(label, most=10) == said
