"""Shared trials at full size: a crowd that asks for everything at once, many kills, a server that is away."""

import random
import shutil
import socket
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="optuna is not installed (extra `search`)")

from crowd import Crowd
from forks import RECIPE, RUN, patient, wait_until
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import create_study
from optuna.trial import TrialState
from postgres import serve

from senet import SESpec
from senet.errors import StorageError
from senet.lab.run import Run
from senet.lab.trials import Trials

STEPS = 10
SPAN = 30  # seconds that the server is away


def grid(reductions: int, seeds: int, *, batch_size: int = 20) -> list[Run]:
    """Give the cells of a grid of ratios and seeds: real trainings, each of 200 / `batch_size` steps."""
    recipe = replace(RECIPE, epochs=1, batch_size=batch_size)
    designs = [(SESpec(reduction=2**power),) for power in range(reductions)]
    return [replace(RUN, se=se, seed=seed, recipe=recipe) for se in designs for seed in range(seeds)]


def states(crowd: Crowd) -> list[str]:
    """Give the states of all trials in the order of their numbers, which must have no gap."""
    with Trials.open(crowd.url, "crowd", runs=crowd.place / "runs") as trials:
        found = trials._study.get_trials()
    assert [trial.number for trial in found] == list(range(len(found)))
    return [trial.state.name for trial in found]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("url", "workers", "cells"),
    [("sqlite", 4, (4, 15)), ("postgresql", 8, (5, 40))],
    indirect=["url"],
    ids=["sqlite, 4 workers, 60 trials", "postgresql, 8 workers, 200 trials"],
)
def test_a_grid_that_many_workers_want_at_once_is_trained_once(
    url: str, workers: int, cells: tuple[int, int], tmp_path: Path
) -> None:
    runs = grid(*cells, batch_size=100)
    crowd = Crowd(tmp_path / "crowd", url, runs)
    began = time.monotonic()
    crowd.join(workers)
    assert [child.join(300) for child in crowd.children] == [0] * workers
    seconds = time.monotonic() - began
    crowd.check(steps=2)
    assert states(crowd) == ["COMPLETE"] * len(runs)
    assert all(len(crowd.lives(run)) == 1 for run in runs)
    shares = sorted(crowd.shares().values())
    assert len(shares) > workers / 2, shares
    print(f"\n{len(runs)} trials by {workers} workers in {seconds:.0f} s: 0 lost, 0 twice; {shares} trials a worker")


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_more_than_twenty_killed_workers_lose_nothing(url: str, tmp_path: Path) -> None:
    runs = grid(4, 15)
    crowd = Crowd(tmp_path / "crowd", url, runs)
    began = time.monotonic()
    crowd.join(4, seconds=0.03)
    kills, at_work = crowd.kill_and_replace(24, random.Random(url.partition(":")[0]), most=3, seconds=0.03)
    crowd.end()
    seconds = time.monotonic() - began
    assert kills >= at_work >= 20
    crowd.check(steps=STEPS)
    retried = states(crowd).count("FAIL")
    lives = [len(crowd.lives(run)) for run in runs]
    assert retried >= sum(lives) - len(runs)
    assert max(lives) <= 4
    print(
        f"\n{kills} workers killed, {at_work} of them at work; {len(runs)} runs: 0 lost, 0 twice, {retried} retried, "
        f"{sum(number > 1 for number in lives)} handed over, at most {max(lives) - 1} times; {seconds:.0f} s"
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("grace", [60, 3], ids=["shorter than the grace", "longer than the grace"])
def test_trainings_outlive_a_server_that_is_away_for_half_a_minute(grace: int, tmp_path: Path) -> None:
    server = serve()
    try:
        crowd = Crowd(tmp_path / "crowd", server.url(), grid(2, 2))
        fast, slow = (crowd.join(seconds=seconds, grace=grace)[0] for seconds in (1.0, 4.0))
        wait_until(lambda: all(crowd.lives(run) for run in crowd.runs[:2]) and crowd.steps > 4)
        server.stop()
        before, away = crowd.steps, time.monotonic()
        time.sleep(SPAN)
        steps = crowd.steps - before
        assert steps >= 10  # the fast one came to the end of its run, the slow one went on all the time
        assert fast.runs
        assert slow.runs
        server.start()
        away = time.monotonic() - away
        crowd.end()
        crowd.check(steps=STEPS)
        assert [child.process.exitcode for child in crowd.children] == [0, 0]
        assert 1 <= fast.said.count("Trying again.") <= 2  # not every two seconds
        assert "the storage answers again" in fast.said
        assert server.url() not in fast.said + slow.said
        assert states(crowd) == ["COMPLETE"] * len(crowd.runs)  # nobody was taken for dead
        print(f"\n{away:.0f} s without the server: {steps} steps done meanwhile, no trial lost or retried")
    finally:
        server.stop()
        shutil.rmtree(server.folder)


@pytest.mark.slow
def test_a_connection_that_a_restart_has_cut_is_noticed_before_it_is_used(tmp_path: Path) -> None:
    server = serve()
    try:
        control = RDBStorage(server.url().replace("://", "+psycopg://"))
        plain = create_study(storage=control, study_name="plain")
        with Trials.open(server.url(), "study", runs=tmp_path) as trials:
            trials.add([RUN])
            server.stop()
            began = time.monotonic()
            with pytest.raises(StorageError, match="is the server up"):
                trials.overview([RUN])
            assert time.monotonic() - began < patient(10)
            server.start()
            assert trials.overview([RUN]).waiting == [RUN]
        with pytest.raises(StorageInternalError):  # the control: Optuna's own storage falls
            plain.ask()
        control.remove_session()
        control.engine.dispose()
    finally:
        server.stop()
        shutil.rmtree(server.folder)


@pytest.mark.slow  # it waits
def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra `search`)")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(StorageError, match=r"127\.0\.0\.1.*is the server up") as caught:
            Trials.open(f"postgresql://me:s3cret@127.0.0.1:{port}/name", "study", runs=tmp_path)
    assert time.monotonic() - began < patient(10)
    assert "s3cret" not in str(caught.value)


@pytest.mark.slow  # it waits
def test_a_file_that_another_program_holds_is_given_up(tmp_path: Path) -> None:
    with Trials.open("sqlite", "study", runs=tmp_path) as trials:
        trials.add([RUN])
    holder = sqlite3.connect(tmp_path / "trials.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"trials\.db: database is locked; is it an SQLite file that nothing else"):
        Trials.open("sqlite", "study", runs=tmp_path)
    assert time.monotonic() - began < 30  # about 8 on an idle machine; a turn may take 60
    holder.close()
    with Trials.open("sqlite", "study", runs=tmp_path) as trials:
        assert trials._study.trials[0].state == TrialState.WAITING
