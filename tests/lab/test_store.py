"""Results come back from run folders and from lists; what is broken says so."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from forks import DATA, RECIPE, RUN

from senet import SESpec
from senet.errors import CheckpointError
from senet.lab.result import Epoch, Result
from senet.lab.run import Run
from senet.lab.store import Store, read_results, write_results
from senet.lab.train import read_result, train

ONE = replace(RUN, recipe=replace(RECIPE, epochs=1, batch_size=100))


def made(run: Run, *, correct: int = 1) -> Result:
    epoch = Epoch(epoch=1, lr=0.1, train_loss=1.0, test_loss=2.5, correct=correct, correct5=2, seconds=1.0)
    counts = {"params": 5, "macs": 7, "train_images": 9, "train_seconds": 1.0}
    return Result(
        run=run, curve=(epoch,), classes=("a", "ü"), confusion=((1, 0), (1, 0)), data="0123", notes=("n",), **counts
    )


def put(store: Store, result: Result) -> None:
    store.folder(result.run).mkdir(parents=True)
    (store.folder(result.run) / "result.json").write_text(json.dumps(result.as_dict()))


def test_a_finished_run_is_found_and_another_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.get(ONE) is None
    result = train(ONE, DATA, store.folder(ONE))
    assert store.folder(ONE) == tmp_path / ONE.id
    assert store.get(ONE) == result == read_result(store.folder(ONE))
    assert store.get(replace(ONE, seed=1)) is None


def test_lists_come_back_and_a_folder_goes_before_them(tmp_path: Path) -> None:
    runs = [ONE, replace(ONE, seed=1), replace(ONE, se=(SESpec(reduction=(8, 2, 16)), SESpec(slot="pre")))]
    write_results(tmp_path / "list.jsonl", map(made, runs))
    assert read_results(tmp_path / "list.jsonl") == {run.id: made(run) for run in runs}
    assert len((tmp_path / "list.jsonl").read_text().splitlines()) == 3
    store = Store(tmp_path / "runs", lists=[tmp_path / "missing.jsonl", tmp_path / "list.jsonl"])
    assert [store.get(run) for run in runs] == [made(run) for run in runs]
    put(store, made(ONE, correct=2))
    assert store.get(ONE) == made(ONE, correct=2)
    write_results(tmp_path / "empty.jsonl", [])
    assert read_results(tmp_path / "empty.jsonl") == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b'{"run": {}}', b"\xff\xfe", b'{"run": {"model": 3}}'])
def test_a_broken_result_is_named(content: bytes, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    folder = store.folder(ONE)
    folder.mkdir(parents=True)
    (folder / "result.json").write_bytes(content)
    for read in (lambda: store.get(ONE), lambda: read_result(folder), lambda: train(ONE, DATA, folder)):
        with pytest.raises(CheckpointError, match=r"result\.json") as caught:
            read()
        assert caught.value.exit_code == 4
    (tmp_path / "list.jsonl").write_bytes(json.dumps(made(ONE).as_dict()).encode() + b"\n" + content + b"\n")
    with pytest.raises(CheckpointError, match=r"list\.jsonl"):
        read_results(tmp_path / "list.jsonl")
    with pytest.raises(CheckpointError, match=r"list\.jsonl"):
        Store(tmp_path / "runs", lists=[tmp_path / "list.jsonl"])


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_results(path)


def test_a_folder_with_the_result_of_another_run_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, made(ONE))
    store.folder(ONE).rename(store.folder(replace(ONE, seed=1)))
    with pytest.raises(CheckpointError, match=r"another run \(seed: 0 -> 1\)"):
        store.get(replace(ONE, seed=1))
