"""Several commands share a folder of runs: each run is trained once, whoever dies, and all read all results."""

import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from crowd import Crowd, variants
from forks import family, holder, left_of, start, train_digits, wait_until

from senet.execution.status import status
from senet.experiments.failed_run import read_failed
from senet.experiments.recipe import Optim, Schedule
from senet.experiments.run import Run

STEPS = 10  # of an epoch


def diverging(run: Run) -> Run:
    return replace(run, recipe=replace(run.recipe, optim=Optim(lr=1e9), schedule=Schedule()))


@pytest.mark.parametrize("number", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_commands_share_runs_and_train_each_once(number: int, tmp_path: Path) -> None:
    crowd = Crowd(tmp_path, variants(2 * number))
    crowd.begin(number, slow={"company": number})  # the first run of each waits until all have one
    crowd.end()
    crowd.check(steps=STEPS)
    logs = [log.suffix for log in (tmp_path / "logs").iterdir() if log.read_text()]
    assert len(logs) == len(crowd.runs), "each run by one process"
    assert len(set(logs)) == number, "each command trained something"


def test_a_run_that_another_command_trains_is_waited_for_and_read(tmp_path: Path) -> None:
    crowd = Crowd(tmp_path, variants(1))
    (first,) = crowd.begin(slow={"seconds": 0.1})
    wait_until(crowd.trainers)
    (second,) = crowd.begin()
    crowd.end()
    crowd.check(steps=STEPS)
    assert f"waiting for 1 run of other commands: process {first.pid} on " in second.said
    assert len(crowd.lives(crowd.runs[0])) == 1


@pytest.mark.slow
def test_the_runs_of_a_killed_command_are_taken_over(tmp_path: Path) -> None:
    crowd, chance = Crowd(tmp_path, variants(5)), random.Random(1)
    crowd.begin(3, slow={"seconds": 0.02})
    assert sum(crowd.kill(chance, at_work=True) for _ in range(2)) == 2
    crowd.end()
    crowd.check(steps=STEPS)


@pytest.mark.parametrize(
    "slow", [{"test_seconds": 120.0}, pytest.param({"seconds": 120.0}, marks=pytest.mark.slow)], ids=["test", "step"]
)
def test_children_of_a_killed_command_end_with_it_and_a_new_one_goes_on(slow: dict[str, float], tmp_path: Path) -> None:
    """However long their test or their step takes."""
    crowd = Crowd(tmp_path, variants(2))
    (first,) = crowd.begin(jobs=2, slow=slow)
    wait_until(lambda: crowd.steps == 2 * (STEPS if "test_seconds" in slow else 1))
    orphans = [member for pid in crowd.trainers() for member in family(pid)]
    assert len(orphans) == 2
    first.kill()
    assert not left_of(orphans, seconds=1)  # on an idle machine; the kernel kills them, whatever they do
    crowd.begin()
    crowd.end()
    crowd.check(steps=STEPS)


def test_a_run_that_fails_is_given_up_by_all_and_tried_again_when_asked(tmp_path: Path) -> None:
    runs = variants(4)
    runs[1] = diverging(runs[1])
    crowd = Crowd(tmp_path, runs)
    crowd.begin(2, slow={"seconds": 0.02})
    crowd.end()
    crowd.check(steps=STEPS, but=[runs[1]])
    assert len(crowd.lives(runs[1])) == 1
    failed = read_failed(crowd.store.folder(runs[1]))
    assert failed is not None
    assert failed.kind == "NumericError"
    crowd.begin(2, retry_failed=True)
    crowd.end()
    assert len(crowd.lives(runs[1])) >= 2
    assert read_failed(crowd.store.folder(runs[1])) != failed


def test_the_status_is_told_while_commands_work(tmp_path: Path) -> None:
    done, bad, slow, waits = variants(4, epochs=3)
    bad = diverging(bad)
    crowd = Crowd(tmp_path, [done, bad, slow])
    for run in (done, bad):
        start(tmp_path / "said", train_digits, run, crowd.store.folder(run)).join()
    crowd.begin(slow={"seconds": 0.1})
    folder = crowd.store.folder(slow)
    wait_until(lambda: (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").read_text())
    first, second, third, fourth = status([done, bad, slow, waits], crowd.store)
    assert (first.state, first.epoch) == ("done", 3)
    assert first.accuracy == pytest.approx(crowd.store.get(done).accuracy)  # type: ignore[union-attr]
    assert (second.state, second.epoch) == ("failed", 0)
    assert "lower optim.lr" in second.why
    assert (third.state, fourth.state) == ("running", "waiting")
    assert third.where.startswith(f"process {holder(folder)} on ")
    assert third.epoch in (1, 2)
    assert 0 < (third.left or 0) < 60
    crowd.commands[0].kill()
    (after,) = status([slow], crowd.store)
    assert (after.state, after.where) == ("waiting", "")
    assert after.epoch >= 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_over_commands_lose_and_double_nothing(tmp_path: Path) -> None:
    began, chance = time.monotonic(), random.Random(2)
    crowd = Crowd(tmp_path, variants(60, epochs=2))
    crowd.begin(4, slow={"seconds": 0.02})
    kills = 0
    while kills < 25 and any(child.runs for child in crowd.commands):
        if crowd.kill(chance, at_work=True):
            kills += 1
            crowd.begin(slow={"seconds": 0.02})
    crowd.end()
    crowd.check(steps=2 * STEPS)
    assert kills >= 20
    assert not [child for child in crowd.commands if child.runs]
    print(f"\n{kills} kills over {len(crowd.runs)} runs in {time.monotonic() - began:.0f} s: every run once, all equal")


@pytest.mark.slow
def test_a_command_that_is_told_to_stop_leaves_its_runs_to_the_others(tmp_path: Path) -> None:
    crowd = Crowd(tmp_path, variants(6))
    first, _ = crowd.begin(2, slow={"seconds": 0.05})
    wait_until(lambda: first.pid in crowd.trainers())
    os.kill(first.pid, signal.SIGTERM)
    assert first.join() == 75, first.said
    crowd.commands.remove(first)
    crowd.end()
    crowd.check(steps=STEPS)
