"""Stopping early: what the rules stop, that only held-out images decide, that what is stopped can go on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from senet.data import DataSpec, load
from senet.errors import CheckpointError, SpecError, StoppedEarly
from senet.execution.execute import execute
from senet.execution.store import Store
from senet.experiments.early_stopping import FILE, Pruned, Pruner, Rule, Threshold, read_pruned
from senet.experiments.recipe import Optim, Recipe
from senet.experiments.result import Epoch, Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.experiments.study import read_study
from senet.spec import SESpec
from senet.training.progress import Progress
from senet.training.train import train
from senet.weights.safe import read_weights

DATA = load(DataSpec(name="digits", train_size=60, val_size=40, test_size=40))
RUN = Run(
    model="resnet8",
    se=(SESpec(reduction=4),),
    data=DATA.spec,
    recipe=Recipe(epochs=4, batch_size=30, optim=Optim(lr=0.05)),
)
OTHERS = [replace(RUN, se=(SESpec(reduction=r),)) for r in (1, 2, 8)]
MEDIAN = Rule(rule="median", warmup=2, startup=2)


def epochs(*correct: int) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(epoch=n, lr=0.1, train_loss=1, test_loss=1 / c, correct=c, correct5=c, seconds=2)
        for n, c in enumerate(correct, 1)
    )


def pruner(root: Path, curves: Mapping[Run, tuple[Epoch, ...]], **words: object) -> Pruner:
    """Make a pruner of a search that has asked for some runs, whose curves lie there, and then for `RUN`."""
    for run, curve in curves.items():
        (root / run.id).mkdir(parents=True)
        lines = "".join(json.dumps(asdict(line)) + "\n" for line in curve)
        (root / run.id / "metrics.jsonl").write_text(lines)
    order = {RUN.seed: (*(run.id for run in curves), RUN.id)}
    return Pruner(**{"rule": MEDIAN, "root": root, "order": order, **words})  # type: ignore[arg-type]


# ---- the rules


def test_the_median_rule_stops_what_is_below_the_median_of_the_others() -> None:
    rule = Rule(rule="median", warmup=3, startup=4)
    others = [10.0, 20.0, 30.0, 40.0]
    assert rule.to_reach(3, 24.9, others, epochs=9) == 25.0
    assert rule.to_reach(3, 25.0, others, epochs=9) is None  # equal is not behind
    assert rule.to_reach(2, 0.0, others, epochs=9) is None  # warming up
    assert rule.to_reach(3, 0.0, others[:3], epochs=9) is None  # too few to say


@given(
    rule=st.sampled_from(["off", "median"]),
    others=st.lists(st.floats(0, 100), max_size=9),
    epoch=st.integers(1, 30),
)
def test_the_best_so_far_is_never_stopped_and_off_stops_nothing(rule: str, others: list[float], epoch: int) -> None:
    made = Rule(rule=rule, startup=1)
    assert made.to_reach(epoch, max(others, default=0.0), others, epochs=30) is None
    if rule == "off":
        assert made.to_reach(epoch, -1.0, others, epochs=30) is None


def test_without_a_number_a_third_of_the_epochs_is_left_alone() -> None:
    assert [Rule().first(epochs) for epochs in (1, 3, 30)] == [1, 1, 10]
    assert not Rule()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"rule": "medain"}, "stop_early.rule = 'medain' is not known; .* Did you mean 'median'"),
        ({"startup": 0}, "stop_early.startup = 0 is out of range; give a whole number from 1 to"),
        ({"warmup": -1}, "stop_early.warmup = -1 is out of range; give a whole number from 0"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Rule(**values)  # type: ignore[arg-type]


# ---- the pruner


def test_a_run_is_held_against_those_asked_before_it_with_the_same_seed(tmp_path: Path) -> None:
    curves = {run: epochs(10, 20, 30) for run in OTHERS}
    found = pruner(tmp_path, curves)
    assert found(RUN, epochs(9, 19), 40) == Threshold(level=50.0, others=3)
    assert found(RUN, epochs(9, 20), 40) is None
    assert found(RUN, epochs(21, 1), 40) is None  # its best counts, not its last
    assert found(replace(RUN, seed=1), epochs(1, 1), 40) is None
    assert found(OTHERS[0], epochs(1, 1), 40) is None  # nobody was asked for before it
    assert found(RUN, epochs(1, 1, 1, 1), 40) is None  # all is spent: nothing is saved by stopping now
    assert replace(found, order={0: (RUN.id, *(run.id for run in OTHERS))})(RUN, epochs(1, 1), 40) is None


def test_by_loss_the_smaller_one_is_ahead(tmp_path: Path) -> None:
    found = pruner(tmp_path, {run: epochs(10, 20) for run in OTHERS}, by="loss")
    assert found(RUN, epochs(10, 19), 40) == Threshold(level=-1 / 20, others=3)
    assert found(RUN, epochs(10, 21), 40) is None


def test_curves_that_are_short_missing_or_half_written_do_not_count(tmp_path: Path) -> None:
    found = pruner(tmp_path, {OTHERS[0]: epochs(10, 20), OTHERS[1]: epochs(10), OTHERS[2]: epochs(10, 20)})
    with (tmp_path / OTHERS[1].id / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "corr')
    assert found(RUN, epochs(1, 1), 40) == Threshold(level=50.0, others=2)
    (tmp_path / OTHERS[0].id / "metrics.jsonl").unlink()
    assert found(RUN, epochs(1, 1), 40) is None


def test_the_test_set_stops_nothing(tmp_path: Path) -> None:
    found = pruner(tmp_path, {run: epochs(10, 20) for run in OTHERS})
    tested = replace(RUN, data=replace(RUN.data, val_size=0))
    with pytest.raises(SpecError, match=r"stop_early would use the test set, because data\.val_size = 0; hold out"):
        found(tested, epochs(1, 1), 40)


def test_a_study_cannot_stop_early(tmp_path: Path) -> None:
    study = 'title = "t"\nseeds = [0]\n[base]\nmodel = "resnet8"\n[[rows]]\nid = "plain"\n'
    (tmp_path / "s.toml").write_text('stop_early = "median"\n' + study)
    with pytest.raises(SpecError, match="stop_early"):
        read_study(tmp_path / "s.toml")
    (tmp_path / "s.toml").write_text(study + "[base.recipe]\nstop_early = 'median'\n")
    with pytest.raises(SpecError, match="stop_early"):
        read_study(tmp_path / "s.toml")


# ---- the training


def hopeless(root: Path) -> Pruner:
    """Make a pruner against others that had everything right from the start."""
    return pruner(root, {run: epochs(40, 40, 40, 40) for run in OTHERS})


def test_what_is_stopped_is_recorded_and_goes_on_to_the_same_bits_without_a_judge(tmp_path: Path) -> None:
    whole = train(RUN, DATA, tmp_path / "whole")
    stop, folder = hopeless(tmp_path / "runs"), tmp_path / "runs" / RUN.id
    with pytest.raises(StoppedEarly):
        train(RUN, DATA, folder, pruner=stop)
    record = read_pruned(folder)
    assert record is not None
    assert (record.run, record.rule, record.epoch, record.total) == (RUN, MEDIAN, 2, 40)
    assert record.threshold == Threshold(level=100.0, others=3)
    assert [line.correct for line in record.curve] == [line.correct for line in whole.curve[:2]]
    assert str(record) == f"{record.accuracy:.2f} % after epoch 2 of 4"
    assert Store(tmp_path / "runs").get(RUN) is None  # it is no result

    def fail(_: Progress) -> None:
        pytest.fail("it was trained again")

    with pytest.raises(StoppedEarly):
        train(RUN, DATA, folder, pruner=stop, watch=fail)
    again = train(RUN, DATA, folder)
    assert [replace(line, seconds=0) for line in again.curve] == [replace(line, seconds=0) for line in whole.curve]
    ours, theirs = (read_weights(place / "model.safetensors") for place in (folder, tmp_path / "whole"))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert read_pruned(folder) is None
    assert train(RUN, DATA, folder, pruner=stop) == again  # what is finished is not stopped any more


def test_another_rule_decides_anew(tmp_path: Path) -> None:
    stop, folder = hopeless(tmp_path), tmp_path / RUN.id
    with pytest.raises(StoppedEarly):
        train(RUN, DATA, folder, pruner=stop)
    later = replace(stop, rule=Rule(rule="median", warmup=3, startup=2))
    with pytest.raises(StoppedEarly):
        train(RUN, DATA, folder, pruner=later)
    assert (read_pruned(folder) or pytest.fail("no record")).epoch == 3


def test_execute_yields_what_was_stopped_and_what_was_not(tmp_path: Path) -> None:
    plain = replace(RUN, se=())
    pruned, result = execute([RUN, plain], Store(tmp_path), Setup(threads=1), pruner=hopeless(tmp_path))
    assert isinstance(pruned, Pruned)
    assert pruned.run == RUN
    assert isinstance(result, Result)
    assert result.run == plain


@pytest.mark.slow
def test_processes_stop_what_one_process_stops(tmp_path: Path) -> None:
    plain = replace(RUN, se=())
    ended = list(execute([RUN, plain], Store(tmp_path), Setup(jobs=2, threads=1), pruner=hopeless(tmp_path)))
    assert {one.run for one in ended if isinstance(one, Result)} == {plain}
    assert [(one.run, one.epoch) for one in ended if isinstance(one, Pruned)] == [(RUN, 2)]


def test_another_command_reads_that_a_run_was_stopped(tmp_path: Path) -> None:
    stop = hopeless(tmp_path)
    for command in range(2):
        if command:
            (tmp_path / RUN.id / "checkpoints").rename(tmp_path / "away")  # so it could only begin anew
        (pruned,) = execute([RUN], Store(tmp_path), Setup(threads=1), pruner=stop)
        assert isinstance(pruned, Pruned)
        assert (pruned.run, pruned.epoch) == (RUN, 2)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"run": {}}')
    with pytest.raises(CheckpointError, match=r"pruned\.json is not a record"):
        read_pruned(tmp_path)
    assert read_pruned(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe\n",
        b"[1, 2]\n",
        b"null\n",
        b'{"epoch": 1}\n',
        b'{"epoch": 2, "lr": 1, "train_loss": 1, "test_loss": 1, "correct": 1, "correct5": 1, "seconds": 1}\n',
        b'{"epoch": 1, "lr": 1, "train_loss": 1, "test_loss": NaN, "correct": 1, "correct5": 1, "seconds": 1}\n',
        b'{"epoch": 1, "lr": 1, "train_loss": 1, "test_loss": 1, "correct": "1", "correct5": 1, "seconds": 1}\n',
        b'{"epoch": 1, "lr": 1, "train_loss": 1, "test_loss": 1, "correct": 41, "correct5": 41, "seconds": 1}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_the_damaged_curve_of_another_training_is_left_out_with_a_note(damage: bytes, tmp_path: Path) -> None:
    found = pruner(tmp_path, {run: epochs(10, 20) for run in OTHERS})
    (tmp_path / OTHERS[0].id / "metrics.jsonl").write_bytes(damage)
    with pytest.warns(UserWarning, match=rf"{OTHERS[0].id}/metrics\.jsonl is damaged and left out"):
        assert found(RUN, epochs(1, 1), 40) == Threshold(level=50.0, others=2)
