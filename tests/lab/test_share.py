"""`senet run STUDY --storage`: what a person sees of it."""

import os
import signal
import sys
from pathlib import Path

import pytest
from forks import command, start, wait_until

pytest.importorskip("optuna", reason="optuna is not installed (extra `search`)")

from senet.cli import main
from senet.lab.heart import Heart
from senet.lab.trials import Trials

STUDY = """
title = "Try"
seeds = [0, 1]
[base]
model = "resnet8"
data = { name = "digits", train_size = 200, test_size = 50 }
recipe = { preset = "digits", epochs = 1, batch_size = 20 }
[[rows]]
id = "plain"
[[rows]]
id = "other"
se = "standard"
"""
DIVERGES = STUDY + '[[rows]]\nid = "lost"\nrecipe = { optim = { lr = 1e12 } }\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "try.toml").write_text(STUDY)
    (tmp_path / "lost.toml").write_text(DIVERGES)
    return tmp_path


def senet(words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["senet", *words.split()])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_a_worker_ends_with_the_table(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = senet("run try.toml -j 1 --storage sqlite:///trials.db", capsys, monkeypatch)
    assert code == 0, err
    assert "Try" in out
    assert "4/4 " in err
    assert "Command: `senet run try.toml -j 1 --storage URL`" in (place / "reports" / "try" / "report.md").read_text()
    code, again, err = senet("run try.toml -j 1 --storage=sqlite:///trials.db", capsys, monkeypatch)
    assert (code, again) == (0, out), err
    assert "--storage=URL`" in (place / "reports" / "try" / "report.md").read_text()


@pytest.mark.slow
def test_runs_that_were_given_up_are_said_after_the_table(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = senet("run lost.toml seeds=[0] -j 1 --storage sqlite", capsys, monkeypatch)
    assert code == 6
    assert "lost" in out
    last = err.splitlines()[-1]
    assert last.startswith("senet: 1 of 3 runs were given up; the first is resnet8 plain seed 0: ")
    assert last.endswith("To try them again, add --retry-failed.")
    assert err.count("given up: ") == 1
    code, _, err = senet("run lost.toml seeds=[0] -j 1 --storage sqlite --retry-failed", capsys, monkeypatch)
    assert code == 6, err
    with Trials.open("sqlite", "lost", runs=place / "runs") as trials:
        assert [trial.state.name for trial in trials._study.trials] == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]


def test_flags_that_do_not_fit_are_refused_in_a_line(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert senet("run try.toml --retry-failed", capsys, monkeypatch)[0] == 2
    code, _, err = senet("run try.toml --storage trials.db", capsys, monkeypatch)
    assert code == 2
    assert err.startswith("senet: --storage: 'trials.db' is no address of a database; give sqlite (")
    with monkeypatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")
        code, _, err = senet("run try.toml --storage sqlite", capsys, patch)
    assert code == 2
    assert "torchrun" in err
    monkeypatch.setitem(sys.modules, "senet.lab.shift", None)
    code, _, err = senet("run try.toml --storage sqlite", capsys, monkeypatch)
    assert code == 2
    assert err.splitlines()[-1].endswith("pip install 'senet[search]'.")


@pytest.mark.slow
def test_a_worker_that_stands_by_says_so_and_leaves_on_ctrl_c(place: Path) -> None:
    from senet.lab.study import read_study

    runs = read_study(place / "try.toml").runs()
    with Trials.open("sqlite", "try", runs=place / "runs") as other, Heart(other.beat, seconds=1) as heart:
        taken = other.pull(runs)
        assert taken is not None
        heart.trials.add(taken.id)
        child = start(place / "said", command, "run", place / "try.toml", "-j", "1", "--storage", "sqlite")
        wait_until(lambda: "standing by" in child.said or not child.runs)
        assert f"nothing waits; 1 run is trained by {other.worker}; standing by" in child.said
        os.kill(child.pid, signal.SIGINT)
        assert child.join() == 130
        assert "any worker goes on from here" in child.said
        assert len(other.overview(runs).complete) == 3
        assert list(other.overview(runs).running) == [taken.run]
