"""Results come back from run folders and from lists; what is broken says so."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from forks import DATA, RECIPE, RUN

from senet import SESpec
from senet.errors import CheckpointError
from senet.execution.store import Store, read_results, write_results
from senet.experiments.comparable import refuse_other_images
from senet.experiments.result import Epoch, Result
from senet.experiments.run import Run
from senet.training.run_folder import read_result
from senet.training.train import train

ONE = replace(RUN, recipe=replace(RECIPE, epochs=1, batch_size=100))


def made(run: Run, *, correct: int = 1) -> Result:
    epoch = Epoch(epoch=1, lr=0.1, train_loss=1.0, test_loss=2.5, correct=correct, correct5=2, seconds=1.0)
    counts = {"params": 5, "macs": 7, "train_images": 9, "train_seconds": 1.0}
    return Result(
        run=run,
        curve=(epoch,),
        classes=("a", "ü"),
        confusion=((1, 0), (2 - correct, correct - 1)),
        data="0123",
        notes=("n",),
        **counts,
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


# ---- what was edited or damaged


def lines(tmp_path: Path, *results: Result) -> list[dict[str, Any]]:
    write_results(tmp_path / "results.jsonl", results)
    return [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]


def edited(values: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """Put a value at a dotted place."""
    *parts, last = place.split(".")
    inner: Any = values
    for part in parts:
        inner = inner[int(part) if part.isdigit() else part]
    inner[int(last) if last.isdigit() else last] = value
    return values


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("curve", [], "curve has 0 epochs, expected 1"),
        ("curve.0.epoch", 2, "epoch = 2, expected 1"),
        ("curve.0.epoch", 0, "epoch = 0"),
        ("curve.0.correct", -5, "correct = -5"),
        ("curve.0.correct", 2, "correct = 2 contradicts confusion"),
        ("curve.0.correct", 10**6, "from 0 to correct5"),
        ("curve.0.correct5", 3, "correct5 = 3 is not a number from 0 to the images tested, 2"),
        ("curve.0.correct5", 0, "from 0 to correct5, 0"),
        ("curve.0.test_loss", float("nan"), "NaN is not a finite number"),
        ("curve.0.train_loss", float("inf"), "Infinity is not a finite number"),
        ("curve.0.train_loss", -1.0, "train_loss = -1.0"),
        ("curve.0.lr", -0.1, "lr = -0.1"),
        ("curve.0.lr", "fast", "lr"),
        ("curve.0.seconds", -1e9, "seconds = -1000000000.0"),
        ("curve.0.seconds", 1e300, "seconds = 1e+300"),
        ("train_seconds", -1, "train_seconds = -1"),
        ("params", 0, "params = 0"),
        ("params", -1, "params = -1"),
        ("params", 10**30, "params = 10000000000000000000..."),
        ("params", 10**400, "params = 10000000000000000000..."),
        ("macs", -1, "macs = -1"),
        ("train_images", 0, "train_images = 0"),
        ("confusion", [[1]], "confusion has 1 rows of [1] numbers for 2 classes"),
        ("confusion", [[1, 0], [1]], "[1, 2]"),
        ("confusion", [[0, 0], [0, 0]], "the sum of confusion = 0"),
        ("confusion", [[2, 0], [0, 0]], "contradicts confusion"),
        ("confusion.0.1", -1, "confusion[0][1] = -1"),
        ("classes", [], "for 0 classes"),
        ("classes", ["a", "b", "c"], "for 3 classes"),
        ("run", [], "a table `run`"),
        ("run", {}, "a table `run`"),
        ("run.recipe.epochs", 3, "curve has 1 epochs, expected 3"),
        ("environment.threads", 0, "threads = 0"),
        ("environment.threads", 10**12, "threads = 1000000000000"),
        ("notes.0", "\ud800", "surrogates not allowed"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_result_that_contradicts_itself_is_one_line_with_its_place(
    tmp_path: Path, place: str, value: object, said: str
) -> None:
    values = edited(lines(tmp_path, made(ONE))[0], place, value)
    (tmp_path / "results.jsonl").write_text(json.dumps(values) + "\n")
    with pytest.raises(CheckpointError) as caught:
        read_results(tmp_path / "results.jsonl")
    assert str(caught.value).startswith(f"{tmp_path / 'results.jsonl'}:1 is not a result of this version of senet: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"run": ' * 5000, "1" * 5000, '"x"', "[]", "null", "1e999", ""], ids=lambda text: text[:8]
)
def test_what_is_no_table_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.jsonl").write_text(f"{json.dumps(made(ONE).as_dict())}\n{text}\n")
    with pytest.raises(CheckpointError, match=r"results\.jsonl:2 is not a result") as caught:
        read_results(tmp_path / "results.jsonl")
    assert "\n" not in str(caught.value)


def test_a_run_with_two_lines_is_refused_with_both_numbers(tmp_path: Path) -> None:
    one, other = lines(tmp_path, made(ONE), made(replace(ONE, seed=1)))
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(v) + "\n" for v in (one, other, one)))
    with pytest.raises(CheckpointError, match=r"results\.jsonl:3 is a second result of run .*, as line 1 is"):
        read_results(tmp_path / "results.jsonl")


def test_an_empty_list_holds_no_results(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("")
    assert read_results(tmp_path / "results.jsonl") == {}


def test_committed_results_are_read_and_belong_together() -> None:
    found = sorted((Path(__file__).parents[2] / "studies" / "reports").glob("**/results.jsonl"))
    assert len(found) > 5
    for path in found:
        refuse_other_images(read_results(path).values())


# ---- results of different images


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "4567"}, r"used different images \(0123 and 4567\)"),
        ({"confusion": ((1, 2), (3, 0))}, "2 and 6 were tested"),
        ({"classes": ("ü", "a")}, "different classes"),
    ],
)
def test_results_of_other_images_stand_in_no_list(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    pair = [made(ONE), replace(made(replace(ONE, se=(SESpec(),))), **changes)]
    with pytest.raises(CheckpointError, match=said) as caught:
        write_results(tmp_path / "list.jsonl", pair)
    assert pair[0].run.id in str(caught.value)
    assert pair[1].run.id in str(caught.value)
    assert not (tmp_path / "list.jsonl").exists()


def test_results_of_another_data_set_or_split_may_stand_beside() -> None:
    other = replace(made(replace(ONE, data=replace(ONE.data, val_size=10))), data="4567")
    refuse_other_images([made(ONE), other, made(replace(ONE, seed=3))])
