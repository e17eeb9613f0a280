"""`senet search` from the file to the report, on digits, with real trainings of a second."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from senet.experiments.study import read_study
from senet.search import trial_runner

FILE = """
title = "Tiny"
confirm_seeds = [5]
references = [4]
[base]
model = "resnet8"
data = { name = "digits", train_size = 60, val_size = 60, test_size = 60 }
recipe = { preset = "digits", epochs = 1 }
[choices]
reduction = [[2], [2, 4], [4]]
constant = [4]
[shared]
retrain = 1
calibration = 30
"""
FILES = {"report.md", "table.md", "search.json", "pareto.csv", "pareto.png", "chosen.toml", "results.jsonl"}


@pytest.fixture
def call(call, tmp_path: Path):  # type: ignore[no-untyped-def]
    (tmp_path / "tiny.toml").write_text(FILE, encoding="utf-8")
    return call


def test_a_search_ends_in_tables_a_picture_and_a_file_to_go_on_with(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, err = call("search", "tiny.toml", "-j", "1")
    assert code == 0, err
    assert "chosen by the test set, as KTH" in out
    assert "digits: 60 training and 60 test images of 8x8 pixels in 1 channel, 10 classes" in err
    assert "resnet8: up to 4 runs of 1 epoch, batch " in err
    assert re.search(r"cpu: 1 at a time, \d+ threads? each", err)
    folder = tmp_path / "out" / "tiny-greedy"
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    values = json.loads((folder / "search.json").read_text())
    assert [phase["phase"] for phase in values["phases"]] == ["plain", "constant", "stage 1", "stage 2", "stage 3"]
    assert all(len(trial["test"]) == 1 for trial in values["trials"])
    report = (folder / "report.md").read_text()
    assert "What selecting on the test set would have claimed" in report
    assert "trained anew with fresh seeds" in report
    assert str(tmp_path) not in report

    study = read_study(folder / "chosen.toml")
    assert study.seeds == (5,)
    assert {row.run.data.val_size for row in study.rows} == {0}
    assert any("chosen" in row.label for row in study.rows)

    table = (folder / "table.md").read_text()
    (folder / "table.md").unlink()
    code, again, err = call("search", "tiny.toml", "--report-only")
    assert code == 0, err
    assert again.split("written:")[0] == out.split("written:")[0]
    assert (folder / "table.md").read_text() == table
    assert (
        "Written again from its files by `senet search tiny.toml --report-only`" in (folder / "report.md").read_text()
    )
    (folder / "results.jsonl").unlink()
    code, _, err = call("search", "tiny.toml", "--report-only", "--runs", "elsewhere")
    assert code == 2
    assert "has no result; leave the option out to train it" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_progress_counts_to_its_end_and_a_search_of_the_plain_network_alone_has_a_picture(call) -> None:  # type: ignore[no-untyped-def]
    code, _, err = call("search", "tiny.toml", "-j", "1", "--budget-trials", "1")
    assert code == 0, err
    assert "1/1 resnet8 plain" in err
    assert "warning" not in err  # matplotlib's, of a legend without entries
    code, _, err = call("search", "tiny.toml", "-j", "1")
    assert code == 0, err
    assert "3/3 resnet8 standard r=" in err  # which design it is depends on the last bits of the trainings


@pytest.mark.slow
def test_a_search_goes_on_where_it_was_and_shared_uses_what_greedy_trained(  # type: ignore[no-untyped-def]
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = call("search", "tiny.toml", "-j", "1")
    assert code == 0, err
    folder = tmp_path / "out" / "tiny-greedy"
    values = json.loads((folder / "search.json").read_text())
    code, out, err = call("train", str(folder / "chosen.toml"), "recipe.epochs=1", "--json")
    assert code == 0, err
    assert json.loads(out)["run"]["se"][0]["reduction"] in ([2, 2, 4], [2, 4, 4], [4, 4, 4])

    trained: list[object] = []
    real = trial_runner.execute

    def counted(runs, store, *args, **words):  # type: ignore[no-untyped-def]
        trained.extend(run for run in runs if store.get(run) is None)
        return real(runs, store, *args, **words)

    monkeypatch.setattr(trial_runner, "execute", counted)
    code, again, err = call("search", "tiny.toml", "-j", "1", "--json")
    assert code == 0, err
    assert not trained
    assert {k: v for k, v in json.loads(again).items() if k != "files"} == values

    code, out, err = call("search", "tiny.toml", "-j", "1", "-s", "shared")
    assert code == 0, err
    assert "designs a minute" in out
    values = json.loads((tmp_path / "out" / "tiny-shared" / "search.json").read_text())
    assert len(values["shared"]["scores"]) == 2
    assert values["shared"]["agreement"]["Spearman, shared accuracy with real accuracy"]["n"] == 2
    assert "of 2 by its shared score" in (tmp_path / "out" / "tiny-shared" / "report.md").read_text()
    code, _, err = call("search", "tiny.toml", "-j", "1", "-s", "shared", "--json")
    assert code == 0, err  # the shared network was read, not trained


def test_mistakes_are_one_line(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = call("search", "tiny.toml", "-s", "gready")
    assert code == 2
    assert "Did you mean 'greedy'" in err
    code, _, err = call("search", "tiny.toml", "model=resnet18")
    assert code == 2
    assert "names 3 stages, resnet18 has 4" in err
    assert len(err.strip().splitlines()) == 1
    code, _, err = call("search", "tiny.toml", "recipe.ema=0.9", "-s", "shared")
    assert code == 2
    assert "recipe.ema = 0.9" in err
    code, _, err = call("search", "tiny.toml", "--stop-early", "mean")
    assert code == 2
    assert "stop_early.rule = 'mean' is not known; choose one of: median, off." in err
    code, _, err = call("search", "tiny.toml", "--report-only")
    assert code == 2
    assert "so the report cannot be written again; leave --report-only out" in err


STOPPING = """
stop_early = { rule = "median", warmup = 1, startup = 1 }
[base]
model = "resnet8"
data = { name = "digits", train_size = 60, val_size = 60, test_size = 60 }
recipe = { preset = "digits", epochs = 2 }
[choices]
per = "block"
stages = 3
reduction = [1, 4]
"""


@pytest.mark.slow  # test_pruned.py and test_early.py have its parts
def test_a_search_that_stops_early_walks_the_same_way_again(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "stop.toml").write_text(STOPPING, encoding="utf-8")
    words = ("search", "stop.toml", "-s", "random", "--budget-trials", "5", "-j", "1", "--json")
    code, out, err = call(*words)
    assert code == 0, err
    values = json.loads(out)
    assert len(values["trials"]) + len(values["pruned"]) == 5
    assert values["pruned"]
    assert all(one["epoch"] == 1 and one["accuracy"] < one["to_reach"] for one in values["pruned"])
    for one in values["pruned"]:
        assert (tmp_path / "runs" / one["run"] / "pruned.json").exists()
        assert not (tmp_path / "runs" / one["run"] / "result.json").exists()
    code, again, err = call(*words)
    assert code == 0, err
    assert json.loads(again) == values
    code, again, err = call(*words, "--report-only")
    assert json.loads(again)["pruned"] == values["pruned"], err

    # the same runs, trained to their end by another search, change nothing in the report of this one
    code, out, err = call(*words, "--stop-early", "off", "-o", "full")
    assert len(json.loads(out)["trials"]) == 5, err
    code, again, err = call(*words, "--report-only")
    assert json.loads(again)["pruned"] == values["pruned"], err
    assert json.loads(again)["chosen"] == values["chosen"]


def test_a_report_holds_no_files_of_the_search_that_was_there_before(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    old = [tmp_path / "out" / "tiny-greedy" / name for name in ("pruned.jsonl", "chosen.toml")]
    old[0].parent.mkdir(parents=True)
    for path in old:
        path.write_text("", encoding="utf-8")
    code, _, err = call("search", "tiny.toml", "-j", "1", "--budget-trials", "1")  # the plain network: no choice
    assert code == 0, err
    assert not any(path.exists() for path in old)


@pytest.mark.slow
def test_two_commands_on_one_folder_of_runs_walk_together(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "stop.toml").write_text(STOPPING, encoding="utf-8")
    words = ("search", "stop.toml", "-s", "random", "--budget-trials", "7", "-j", "1")
    commands = [
        subprocess.Popen([sys.executable, "-m", "senet", *words, "-o", f"out{n}"], stderr=subprocess.PIPE)
        for n in range(2)
    ]
    for command in commands:
        _, err = command.communicate(timeout=240)
        assert command.returncode == 0, err
    one, other = (json.loads((tmp_path / f"out{n}" / "search.json").read_text()) for n in range(2))
    assert one == other
    assert len(one["trials"]) + len(one["pruned"]) == 7
