"""Several workers on one storage, some of them killed: nothing is lost, nothing is done twice."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="optuna is not installed (extra `search`)")

from crowd import Crowd, enqueue, variants
from forks import DATA, RUN, digest, holder, patient, start, train_digits, wait_until
from postgres import Server, serve

from senet.errors import CheckpointError, DataError, Interrupted, StorageError
from senet.lab import execute as executing
from senet.lab.execute import Setup, execute
from senet.lab.lock import RunLock
from senet.lab.recipe import Optim, Schedule
from senet.lab.run import Run
from senet.lab.shift import evaluate_with, work
from senet.lab.store import Store
from senet.lab.trials import Trials

ONE = Setup(threads=1)
STEPS = 10
DATABASES = ["sqlite", "postgresql"]
names = count()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = serve()
    yield running
    running.stop()
    shutil.rmtree(running.folder)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'trials.db'}"
    server: Server = request.getfixturevalue("server")
    name = f"db{next(names)}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_the_runs_of_a_killed_worker_are_finished_by_another(url: str, tmp_path: Path) -> None:
    crowd = Crowd(tmp_path / "crowd", url, variants(3))
    crowd.join(2, seconds=0.02, grace=1)
    wait_until(lambda: crowd.steps > 5)
    crowd.trainer().kill()
    crowd.end()
    crowd.check(steps=STEPS)


@pytest.mark.parametrize("url", DATABASES, indirect=True)
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
    began, kills, retried = time.monotonic(), 0, 0
    for number in range(3):
        chance = random.Random(f"{url.partition(':')[0]} {number}")
        crowd = Crowd(tmp_path / str(number), url, [replace(run, seed=100 * number + run.seed) for run in variants(8)])
        children = crowd.join(4, seconds=0.03)
        for victim in chance.sample(children, 2):
            now = crowd.steps
            wait_until(lambda: crowd.steps >= now + chance.randint(0, 20) or not victim.runs)
            time.sleep(chance.uniform(0, 0.3))
            victim.kill()
            kills += victim.process.exitcode == -signal.SIGKILL
        crowd.end()
        crowd.check(steps=STEPS)
        retried += sum(len(crowd.lives(run)) > 1 for run in crowd.runs)
    assert kills >= 5
    print(f"\n{kills} of 12 workers killed, {retried} of 24 runs went on elsewhere, {time.monotonic() - began:.0f} s")
