"""Many runs: what exists is read, what is missing is trained, results come as they are ready."""

import json
import os
import signal
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from forks import CONTEXT, DATA, RECIPE, RUN, digest, holder, left_of, start_server, wait_until

from senet import SESpec
from senet.data import DataSpec
from senet.errors import CheckpointError, DataError, Interrupted, NumericError, SenetError
from senet.lab import execute as executing
from senet.lab import workers
from senet.lab.checkpoint import Checkpoints
from senet.lab.execute import Setup, execute
from senet.lab.recipe import Optim, Schedule
from senet.lab.run import Run
from senet.lab.store import Store, write_results
from senet.lab.train import Progress, train


def run(seed: int = 0, **recipe: Any) -> Run:
    return replace(RUN, seed=seed, recipe=replace(RECIPE, **{"epochs": 1, "batch_size": 40, **recipe}))


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Setup:
    """Two workers that start in milliseconds."""
    start_server()
    monkeypatch.setattr(workers, "CONTEXT", CONTEXT)
    return Setup(jobs=2, threads=1)


ONE = Setup(threads=1)


def test_what_exists_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, listed = run(), replace(run(), se=(SESpec(reduction=4),)), run(seed=9)
    made = train(first, DATA, tmp_path / "runs" / first.id)
    write_results(tmp_path / "list.jsonl", [replace(made, run=listed)])
    store = Store(tmp_path / "runs", lists=[tmp_path / "list.jsonl"])
    trained: list[Run] = []
    monkeypatch.setattr(executing, "train", lambda *args, **kw: trained.append(args[0]) or train(*args, **kw))
    results = list(execute([second, first, second, listed], store, ONE))
    assert trained == [second]
    assert {result.run for result in results} == {first, second, listed}
    assert len(results) == 3
    assert list(execute([first, second, listed], store, ONE)) == [made, store.get(second), store.get(listed)]
    assert trained == [second]


def test_nothing_is_loaded_when_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = train(run(), DATA, tmp_path / run().id)
    monkeypatch.setattr(executing, "load", lambda *args, **kw: pytest.fail("it was loaded"))
    assert list(execute([run()], Store(tmp_path), ONE)) == [made]


@pytest.mark.parametrize("jobs", [1, 2])
def test_missing_data_is_known_before_the_first_step(jobs: int, tmp_path: Path) -> None:
    there, missing = run(), replace(run(), data=DataSpec(name="cifar10"))
    setup = Setup(data_dir=tmp_path / "nowhere", jobs=jobs)
    with pytest.raises(DataError, match="nowhere"):
        next(execute([there, missing], Store(tmp_path / "runs"), setup))
    assert not (tmp_path / "runs").exists()


def test_results_of_other_images_are_not_mixed_with_these(tmp_path: Path) -> None:
    made = train(run(), DATA, tmp_path / "runs" / run().id)
    write_results(tmp_path / "list.jsonl", [replace(made, data="0123456789abcdef")])
    store = Store(tmp_path / "none", lists=[tmp_path / "list.jsonl"])
    with pytest.raises(CheckpointError, match=f"saw other images than there are now: 0123456789abcdef -> {made.data}"):
        next(execute([run(), run(seed=1)], store, ONE))


def test_a_failure_names_the_run_and_keeps_what_was_done(tmp_path: Path) -> None:
    bad = run(seed=1, optim=Optim(lr=1e9), schedule=Schedule())
    results = execute([run(), bad, run(seed=2)], Store(tmp_path), ONE)
    assert next(results).run == run()
    with pytest.raises(NumericError) as caught:
        next(results)
    assert caught.value.__notes__ == ["resnet8 plain seed 1"]
    assert not (tmp_path / run(seed=2).id).exists()


def test_the_watcher_is_told_of_every_run(two: Setup, tmp_path: Path) -> None:
    runs = [run(), run(seed=1)]
    for setup, place in ((ONE, "one"), (two, "two")):
        said: list[Progress] = []
        results = list(execute(runs, Store(tmp_path / place), setup, watch=said.append))
        assert {progress.run for progress in said} == {result.run.id for result in results} == {r.id for r in runs}
    for r in runs:
        assert digest(tmp_path / "one" / r.id) == digest(tmp_path / "two" / r.id)


def test_results_come_as_they_are_ready(two: Setup, tmp_path: Path) -> None:
    long, short, last = run(epochs=30), run(seed=1), run(seed=2)
    store = Store(tmp_path)
    results = execute([long, short, last], store, two)
    assert next(results).run == short
    assert store.get(long) is None
    assert [result.run for result in results] == [last, long]


def test_a_failure_in_a_worker_saves_the_others(two: Setup, tmp_path: Path) -> None:
    long, bad = run(epochs=200), run(seed=1, epochs=9, optim=Optim(lr=1e9), schedule=Schedule())
    with pytest.raises(NumericError, match=r"lower optim\.lr") as caught:
        list(execute([long, bad, run(seed=2)], Store(tmp_path), two))
    assert caught.value.__notes__ == ["resnet8 plain seed 1"]
    assert caught.value.exit_code == 6
    assert not (tmp_path / run(seed=2).id).exists()
    if (tmp_path / long.id).exists():  # it may have been stopped before its first step
        assert holder(tmp_path / long.id) == 0


def test_a_bug_in_a_worker_comes_with_its_traceback(two: Setup, tmp_path: Path) -> None:
    wrong = replace(run(), model="no such network")
    with pytest.raises(SenetError, match="no such network"):
        list(execute([wrong, run(seed=1)], Store(tmp_path), two))
    (tmp_path / "runs").mkdir()
    odd = replace(two, device="meta")
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*in train"):
        list(execute([run(seed=2), run(seed=3)], Store(tmp_path / "runs"), odd))


def test_who_stops_listening_stops_the_workers(two: Setup, tmp_path: Path) -> None:
    long, short = run(epochs=200), run(seed=1)
    results: Iterator[Any] = execute([long, short], Store(tmp_path), two)
    assert next(results).run == short
    wait_until(lambda: (tmp_path / long.id / "metrics.jsonl").exists())
    trainer = psutil.Process(holder(tmp_path / long.id))
    results.close()  # type: ignore[attr-defined]
    assert not left_of([trainer])
    assert Checkpoints(tmp_path / long.id / "checkpoints").latest() is not None


def test_a_signal_to_this_process_stops_runs_one_after_another(tmp_path: Path) -> None:
    runs = [run(epochs=3), run(seed=1)]
    store = Store(tmp_path)
    with pytest.raises(Interrupted, match="stopped and saved"):
        list(execute(runs, store, ONE, watch=lambda progress: os.kill(os.getpid(), signal.SIGTERM)))
    assert not store.folder(runs[1]).exists()
    assert len(list(execute(runs, store, ONE))) == 2


def test_a_signal_behind_the_last_step_of_a_run_stops_before_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*args: Any, **kw: Any) -> Any:
        made = train(*args, **kw)
        os.kill(os.getpid(), signal.SIGINT)
        return made

    monkeypatch.setattr(executing, "train", late)
    store = Store(tmp_path / "runs")
    with pytest.raises(Interrupted, match="the same command goes on") as caught:
        list(execute([run(), run(seed=1)], store, ONE))
    assert caught.value.exit_code == 130
    assert store.get(run()) is not None  # nothing is lost
    assert store.get(run(seed=1)) is None


def test_cores_are_shared_among_jobs() -> None:
    cores = os.cpu_count() or 1
    assert Setup().threads_each() == 0
    assert Setup(jobs=2, threads=3).threads_each() == 3
    assert Setup(jobs=2).threads_each() == max(1, cores // 2)
    assert Setup(jobs=10 * cores).threads_each() == 1


def test_the_curve_of_a_worker_is_on_the_disk(two: Setup, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        list(execute([run(), run(seed=1)], Store(tmp_path), replace(two, save_every=0.0)))
    for r in (run(), run(seed=1)):
        (line,) = (tmp_path / r.id / "metrics.jsonl").read_text().splitlines()
        assert json.loads(line)["epoch"] == 1
