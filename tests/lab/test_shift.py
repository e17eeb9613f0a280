"""Several workers on one storage, some of them killed: nothing is lost, nothing is done twice."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="optuna is not installed (extra `search`)")

from crowd import Crowd, enqueue, variants
from forks import CONTEXT, digest, patient, start, start_server, train_digits, wait_until
from postgres import Server, serve

from senet.errors import CheckpointError, DataError, Interrupted, StorageError
from senet.files.lock import RunLock
from senet.lab import execute as executing
from senet.lab import workers
from senet.lab.execute import Setup, execute
from senet.lab.recipe import Optim, Schedule
from senet.lab.shift import evaluate_with, work
from senet.lab.store import Store, write_results
from senet.lab.train import Progress
from senet.lab.trials import Trials

ONE = Setup(threads=1)
STEPS = 10
DATABASES = ["sqlite", "postgresql"]


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_the_runs_of_a_killed_worker_are_finished_by_another(url: str, tmp_path: Path) -> None:
    crowd = Crowd(tmp_path / "crowd", url, variants(3))
    crowd.join(2, seconds=0.02, grace=1)
    wait_until(lambda: crowd.steps > 5)
    crowd.trainer().kill()
    crowd.end()
    crowd.check(steps=STEPS)


@pytest.mark.parametrize("url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
def test_four_that_begin_at_once_add_every_run_once(url: str, tmp_path: Path) -> None:
    runs, gate = variants(6), tmp_path / "gate"
    children = [start(tmp_path / f"said{n}", enqueue, runs, url, gate) for n in range(4)]
    gate.touch()
    for child in children:
        assert child.join() == 0, child.said
    with Trials.open(url, "crowd", runs=tmp_path) as trials:
        assert trials.overview(runs).waiting == runs
        assert len(trials._study.trials) == len(runs)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_four_workers_of_which_two_are_killed_at_random_lose_nothing(url: str, tmp_path: Path) -> None:
    began, kills, handed_over = time.monotonic(), 0, 0
    for number in range(3):
        runs = [replace(run, seed=100 * number + run.seed) for run in variants(8)]
        crowd = Crowd(tmp_path / str(number), url, runs)
        crowd.join(4, seconds=0.03)
        kills += crowd.kill(2, random.Random(f"{url.partition(':')[0]} {number}"))
        crowd.end()
        crowd.check(steps=STEPS)
        handed_over += sum(len(crowd.lives(run)) > 1 for run in runs)
    assert kills >= 4
    print(f"\n{kills} of 12 workers killed, {handed_over} of 24 runs handed over, {time.monotonic() - began:.0f} s")


# ---- one worker, in this process


@pytest.fixture
def trials(tmp_path: Path) -> Iterator[Trials]:
    with Trials.open("sqlite", "study", runs=tmp_path, heartbeat=1) as opened:
        yield opened


def test_a_worker_alone_makes_what_is_made_without_a_storage(trials: Trials, tmp_path: Path) -> None:
    runs = variants(2)
    evaluate = evaluate_with(trials, Store(tmp_path), ONE)
    results = evaluate([*runs, runs[0]])
    assert [result.run for result in results] == runs
    plain = list(execute(runs, Store(tmp_path / "plain"), ONE))
    for run, result, other in zip(runs, results, plain, strict=True):
        assert [epoch.correct for epoch in result.curve] == [epoch.correct for epoch in other.curve]
        assert digest(tmp_path / run.id) == digest(tmp_path / "plain" / run.id)
    assert list(evaluate(runs)) == list(results)
    assert [trial.state.name for trial in trials._study.trials] == ["COMPLETE"] * 2


def test_a_finished_folder_is_told_and_not_trained(
    trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = variants(1)
    made = train_digits(run, tmp_path / run.id)
    monkeypatch.setattr(executing, "train", lambda *args, **kw: pytest.fail("it was trained again"))
    assert list(work([run], Store(tmp_path), trials, ONE)) == [made]
    assert trials.overview([run]).complete == [run]


def test_a_run_that_diverges_is_given_up_and_the_others_go_on(trials: Trials, tmp_path: Path) -> None:
    good, other = variants(2)
    bad = variants(1, optim=Optim(lr=1e9), schedule=Schedule())[0]
    said: list[str] = []
    results = list(work([bad, good, other], Store(tmp_path), trials, ONE, say=said.append))
    assert [result.run for result in results] == [good, other]
    (line,) = said
    assert line.startswith("given up: resnet8 plain seed 0: ")
    assert "lower optim.lr" in line
    assert trials.overview([bad]).failed[bad].exit_code == 6
    assert list(work([bad], Store(tmp_path), trials, ONE)) == []


def test_a_machine_that_cannot_train_leaves_the_run_to_others(trials: Trials, tmp_path: Path) -> None:
    (run,) = variants(1)
    elsewhere = replace(run, data=replace(run.data, name="cifar10"))
    with pytest.raises(DataError):
        list(work([elsewhere], Store(tmp_path), trials, replace(ONE, data_dir=tmp_path / "nowhere")))
    assert trials.overview([elsewhere]).waiting == [elsewhere]


def test_a_worker_that_is_told_to_stop_saves_and_leaves_its_run_waiting(trials: Trials, tmp_path: Path) -> None:
    runs = variants(2)
    with pytest.raises(Interrupted, match="any worker goes on from here") as caught:
        list(work(runs, Store(tmp_path), trials, ONE, watch=lambda _: os.kill(os.getpid(), signal.SIGTERM)))
    assert caught.value.exit_code == 75
    assert trials.overview(runs).waiting == runs
    assert (tmp_path / runs[0].id / "checkpoints").exists()
    list(work(runs, Store(tmp_path), trials, ONE))
    assert [trial.state.name for trial in trials._study.trials] == ["COMPLETE"] * 2


def test_a_run_that_somebody_trains_in_the_folder_is_waited_for(trials: Trials, tmp_path: Path) -> None:
    runs = variants(2)
    folder = tmp_path / runs[0].id
    folder.mkdir()
    said: list[str] = []
    with RunLock(folder):
        results = work(runs, Store(tmp_path), trials, ONE, say=said.append)
        assert next(results).run == runs[1]
    assert [result.run for result in results] == runs[:1]
    assert f"{folder} is in use by process {os.getpid()}" in said[0]
    assert [trial.state.name for trial in trials._study.trials] == ["COMPLETE"] * 2


def test_a_result_in_another_folder_of_runs_is_missed_at_once(
    trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("senet.lab.shift.LATE", 0.1)
    runs = variants(2)
    list(work(runs[:1], Store(tmp_path), trials, ONE))
    with pytest.raises(StorageError, match="all workers need the same folder of runs"):
        next(work(runs, Store(tmp_path / "elsewhere"), trials, ONE))


def test_results_of_other_images_are_not_mixed(trials: Trials, tmp_path: Path) -> None:
    runs = variants(2)
    made = train_digits(runs[0], tmp_path / runs[0].id)
    write_results(tmp_path / "list.jsonl", [replace(made, run=runs[1], data="0123456789abcdef")])
    store = Store(tmp_path, lists=[tmp_path / "list.jsonl"])
    for run in runs:
        trial = trials.pull([run])
        assert trial is not None
        trials.tell(trial, made)
    results = work(runs, store, trials, ONE)
    assert next(results) == made
    with pytest.raises(CheckpointError, match=f"saw other images: {made.data} and 0123456789abcdef"):
        next(results)


def test_a_bug_is_given_up_and_shown(trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(executing, "train", fall)
    (run,) = variants(1)
    with pytest.raises(ZeroDivisionError):
        list(work([run], Store(tmp_path), trials, ONE))
    assert trials.overview([run]).failed[run].line == "by zero"


def test_the_database_may_be_away_for_a_while(trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("senet.lab.shift.AGAIN", 0.01)
    tell, fails = trials.tell, iter([True, True, False])

    def unsteady(*args: Any) -> None:
        if next(fails):
            raise StorageError("it is away.")
        tell(*args)

    monkeypatch.setattr(trials, "tell", unsteady)
    said: list[str] = []
    (run,) = variants(1)
    assert len(list(work([run], Store(tmp_path), trials, ONE, say=said.append))) == 1
    assert said == ["it is away. Trying again.", "the storage answers again"]
    assert trials.overview([run]).complete == [run]


def test_one_command_may_train_several_at_a_time(
    trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_server()
    monkeypatch.setattr(workers, "CONTEXT", CONTEXT)
    runs = variants(3)
    bad = variants(1, optim=Optim(lr=1e9), schedule=Schedule())[0]
    results = list(work([runs[0], bad, *runs[1:]], Store(tmp_path), trials, replace(ONE, jobs=2)))
    assert {result.run for result in results} == set(runs)
    assert list(trials.overview([bad]).failed) == [bad]
    for run in runs:
        train_digits(run, tmp_path / "plain" / run.id)
        assert digest(tmp_path / run.id) == digest(tmp_path / "plain" / run.id)


def test_several_at_a_time_are_saved_and_wait_when_told_to_stop(
    trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_server()
    monkeypatch.setattr(workers, "CONTEXT", CONTEXT)
    runs = variants(3, epochs=100)
    asked: list[int] = []

    def ask(_: Progress) -> None:
        if not asked:
            asked.append(os.kill(os.getpid(), signal.SIGTERM) or 1)

    with pytest.raises(Interrupted, match="any worker goes on from here"):
        list(work(runs, Store(tmp_path), trials, replace(ONE, jobs=2), watch=ask))
    assert trials.overview(runs).waiting == runs
    assert any((tmp_path / run.id / "checkpoints").exists() for run in runs)


# ---- PostgreSQL


def test_errors_of_a_server_are_one_line_without_the_password(server: Server, tmp_path: Path) -> None:
    server.execute("CREATE ROLE reader LOGIN PASSWORD 'reader/word'", "CREATE DATABASE readonly")
    cases = {
        server.url(password="wrong/word"): "password authentication failed",
        server.url("nowhere"): 'database "nowhere" does not exist',
        server.url().replace(str(server.port), "1"): "refused",
        server.url("readonly", user="reader", password="reader/word"): "give this user the right to create",
    }
    for url, expected in cases.items():
        began = time.monotonic()
        with pytest.raises(StorageError, match=expected) as caught:
            Trials.open(url, "study", runs=tmp_path)
        said = str(caught.value)
        assert time.monotonic() - began < patient(10)
        assert "word@" not in said
        assert "/word" not in said
        assert "\n" not in said
        assert ":***@127.0.0.1" in said


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_training_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    server = serve()
    try:
        crowd = Crowd(tmp_path / "crowd", server.url(), variants(2))
        crowd.join(2, seconds=0.2, grace=30)
        wait_until(lambda: crowd.steps > 4)
        server.stop()
        before = crowd.steps
        wait_until(lambda: crowd.steps > before + 4)
        server.start()
        crowd.end()
        crowd.check(steps=STEPS)
        assert all(child.process.exitcode == 0 for child in crowd.children)
    finally:
        server.stop()
        shutil.rmtree(server.folder)
