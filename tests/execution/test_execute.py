"""Many runs: what exists is read, what is missing is trained, results come as they are ready."""

import json
import os
import re
import signal
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from forks import CONTEXT, DATA, RECIPE, RUN, digest, holder, left_of, start_server, wait_until

from senet import SESpec
from senet.data import DataSpec
from senet.errors import (
    CheckpointError,
    DataError,
    Interrupted,
    NumericError,
    SenetError,
    SpecError,
    StorageError,
    UsageError,
)
from senet.execution import executors, processes
from senet.execution.execute import execute
from senet.execution.store import Store, write_results
from senet.experiments.failed_run import Failed, is_of_the_run, read_failed
from senet.experiments.recipe import Optim, Schedule
from senet.experiments.run import Run
from senet.experiments.setup import Setup, cores
from senet.files.lock import InUse
from senet.networks.stated import stated
from senet.training.checkpoint import Checkpoints
from senet.training.progress import Progress
from senet.training.train import train


def run(seed: int = 0, **recipe: Any) -> Run:
    return replace(RUN, seed=seed, recipe=replace(RECIPE, **{"epochs": 1, "batch_size": 40, **recipe}))


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Setup:
    """Two workers that start in milliseconds."""
    start_server()
    monkeypatch.setattr(processes, "CONTEXT", CONTEXT)
    return Setup(jobs=2, threads=1)


ONE = Setup(threads=1)


def test_what_exists_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, listed = run(), replace(run(), se=(SESpec(reduction=4),)), run(seed=9)
    made = train(first, DATA, tmp_path / "runs" / first.id)
    write_results(tmp_path / "list.jsonl", [replace(made, run=listed)])
    store = Store(tmp_path / "runs", lists=[tmp_path / "list.jsonl"])
    trained: list[Run] = []
    monkeypatch.setattr(executors, "train", lambda *args, **kw: trained.append(args[0]) or train(*args, **kw))
    results = list(execute([second, first, second, listed], store, ONE))
    assert trained == [second]
    assert {result.run for result in results} == {first, second, listed}
    assert len(results) == 3
    assert list(execute([first, second, listed], store, ONE)) == [made, store.get(second), store.get(listed)]
    assert trained == [second]


def test_nothing_is_loaded_when_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = train(run(), DATA, tmp_path / run().id)
    executors.load_cached.cache_clear()
    monkeypatch.setattr(executors, "load_for", lambda *args, **kw: pytest.fail("it was loaded"))
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
    with pytest.raises(
        CheckpointError, match=f"on other images than the present ones: 0123456789abcdef -> {made.data}"
    ):
        next(execute([run(), run(seed=1)], store, ONE))


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


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_by_itself_is_remembered_and_the_others_go_on(
    jobs: int, two: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup, store = (ONE, two)[jobs - 1], Store(tmp_path)
    bad = run(seed=1, optim=Optim(lr=1e9), schedule=Schedule())
    unfit = replace(run(seed=2), model="no such network")
    wanted = [bad, unfit, run(), run(seed=3)]
    ended = {one.run: one for one in execute(wanted, store, setup)}
    assert {r for r, one in ended.items() if isinstance(one, Failed)} == {bad, unfit}
    assert store.get(run()) == ended[run()]
    lost = ended[bad]
    assert isinstance(lost, Failed)
    assert (lost.kind, lost.exit_code, lost.traceback) == ("NumericError", 6, "")
    assert "lower optim.lr" in lost.reason
    assert re.fullmatch(r"process \d+ on \S+", lost.where)
    assert read_failed(store.folder(bad)) == lost
    assert holder(store.folder(bad)) == 0
    monkeypatch.setattr(executors, "train", lambda *args, **kw: pytest.fail("it was trained"))
    assert list(execute(wanted, store, setup)) == [ended[r] for r in wanted]


def test_a_failed_run_is_trained_again_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kw: Any) -> Any:
        raise RuntimeError("a bug\nof two lines")

    store = Store(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("senet.training.train.initial", fail)
        (failed,) = execute([run()], store, ONE)
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.exit_code) == ("RuntimeError", 1)
    assert failed.reason == "unexpected RuntimeError: a bug"
    assert "in initial" in failed.traceback or "in fail" in failed.traceback
    assert list(execute([run()], store, ONE)) == [failed]
    (result,) = execute([run()], store, ONE, retry_failed=True)
    assert result == store.get(run())
    assert read_failed(store.folder(run())) is None


def test_warnings_of_a_training_arrive_where_it_was_asked_for(two: Setup, tmp_path: Path) -> None:
    first = train(run(epochs=4), DATA, tmp_path / "first")
    wild = run(epochs=1, optim=Optim(lr=30.0), schedule=Schedule(), clip=1.0)
    again = stated(replace(wild, weights=str(tmp_path / "first" / "model.safetensors")))
    with pytest.warns(UserWarning, match="the accuracy fell") as caught:
        list(execute([again, replace(again, seed=1)], Store(tmp_path / "runs"), two))
    assert {str(one.message).split(":")[0] for one in caught} == {f"run {again.id}", f"run {replace(again, seed=1).id}"}
    assert all(f"fell from {first.accuracy:.1f} to" in str(one.message) for one in caught)


@pytest.mark.filterwarnings("ignore:the network is not accelerated")
def test_a_bug_in_a_process_comes_with_its_traceback(two: Setup, tmp_path: Path) -> None:
    odd = replace(two, device="meta")
    for failed in execute([run(seed=2), run(seed=3)], Store(tmp_path / "runs"), odd):
        assert isinstance(failed, Failed)
        assert "Traceback" in failed.traceback
        assert "in train" in failed.traceback


@pytest.mark.parametrize(
    ("error", "of_the_run"),
    [
        (NumericError("diverged"), True),
        (SpecError("an image size that does not fit"), True),
        (CheckpointError("damaged"), True),
        (UsageError("the batch does not fit into the memory of cuda"), True),
        (ZeroDivisionError("a bug"), True),
        (DataError("no data"), False),
        (StorageError("no space left"), False),
        (InUse("claimed"), False),
        (Interrupted("stopped"), False),
        (SenetError("the process was killed"), False),
        (MemoryError(), False),
        (OSError(24, "too many open files"), False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), False),
        (torch.OutOfMemoryError("CUDA out of memory"), False),
        (ImportError("no module"), False),
        (KeyboardInterrupt(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_of_the_run_and_of_the_machine_are_told_apart(error: BaseException, of_the_run: bool) -> None:
    assert is_of_the_run(error) == of_the_run


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_machine_that_cannot_train_saves_what_trains_and_blames_no_run(jobs: int, two: Setup, tmp_path: Path) -> None:
    store, long = Store(tmp_path), run(epochs=300)
    blocked = store.folder(run(seed=1))
    blocked.write_text("a file where a folder is needed")
    with pytest.raises(StorageError, match="there is a file where a folder is needed") as caught:
        list(execute([run(seed=1), long], store, (ONE, two)[jobs - 1]))
    assert caught.value.__notes__ == ["resnet8 plain seed 1"]
    assert store.ended(run(seed=1)) is None
    if store.folder(long).exists():
        assert holder(store.folder(long)) == 0


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

    monkeypatch.setattr(executors, "train", late)
    store = Store(tmp_path / "runs")
    with pytest.raises(Interrupted, match="run the same command again") as caught:
        list(execute([run(), run(seed=1)], store, ONE))
    assert caught.value.exit_code == 130
    assert store.get(run()) is not None  # nothing is lost
    assert store.get(run(seed=1)) is None


def test_cores_are_shared_among_jobs_unless_somebody_said_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert Setup().threads_each() == 0
    assert Setup(jobs=2, threads=3).threads_each() == 3
    assert Setup(jobs=2).threads_each() == max(1, cores() // 2)
    assert Setup(jobs=10 * cores()).threads_each() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert Setup(jobs=2).threads_each() == 0  # torch's own number, which is 7
    assert Setup(jobs=2, threads=3).threads_each() == 3


def test_the_curve_of_a_worker_is_on_the_disk(two: Setup, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        list(execute([run(), run(seed=1)], Store(tmp_path), replace(two, save_every=0.0)))
    for r in (run(), run(seed=1)):
        (line,) = (tmp_path / r.id / "metrics.jsonl").read_text().splitlines()
        assert json.loads(line)["epoch"] == 1
