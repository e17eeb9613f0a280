"""The trials of runs in a database: each is handed out once, comes back when its worker dies, and is never doubled."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="optuna is not installed (extra `search`)")

from optuna.trial import TrialState

from senet import SESpec
from senet.data import DataSpec
from senet.errors import NumericError, SpecError, StorageError, UsageError
from senet.lab import trials as module
from senet.lab.database import _disk, _refuse_network_disk, address, quiet
from senet.lab.recipe import Optim, Recipe
from senet.lab.result import Epoch, Result
from senet.lab.run import Run
from senet.lab.trials import RETRIES, Overview, Trials

RUNS = [Run(seed=seed, data=DataSpec(name="digits"), recipe=Recipe(epochs=1)) for seed in range(3)]


def result(run: Run, correct: int = 3) -> Result:
    epoch = Epoch(epoch=1, lr=0.1, train_loss=1.0, test_loss=0.5, correct=correct, correct5=4, seconds=1.0)
    return Result(
        run=run,
        curve=(epoch,),
        classes=("a", "b"),
        confusion=((correct, 0), (4 - correct, 0)),
        params=10,
        macs=20,
        train_images=4,
        train_seconds=1.0,
        data="0",
    )


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Trials]:
    with Trials.open("sqlite", "study", runs=tmp_path) as trials:
        yield trials


@pytest.fixture
def there(here: Trials, tmp_path: Path) -> Iterator[Trials]:
    """A second worker on the same storage."""
    with Trials.open("sqlite", "study", runs=tmp_path) as trials:
        yield trials


def bury(folder: Path) -> None:
    """Let the last sign of life of all workers be long ago."""
    with sqlite3.connect(folder / "trials.db") as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'")


def test_a_run_is_added_once_whoever_adds_it(here: Trials, there: Trials) -> None:
    here.add(RUNS)
    there.add([*RUNS, *RUNS])
    here.add(RUNS[1:])
    assert here.overview(RUNS) == there.overview(RUNS) == Overview(waiting=RUNS)
    assert [trial.user_attrs["seed"] for trial in here._study.trials] == [0, 1, 2]


def test_each_worker_gets_another_run_in_order_of_its_wish(here: Trials, there: Trials) -> None:
    first = here.pull(RUNS)
    second = there.pull(RUNS[::-1])
    third = here.pull(RUNS)
    assert [t.run.seed for t in (first, second, third) if t] == [0, 2, 1]
    assert here.pull(RUNS) is there.pull(RUNS) is None
    seen = there.overview(RUNS)
    assert set(seen.running) == set(RUNS)
    assert set(seen.running.values()) == {here.worker}


def test_a_run_that_is_left_or_not_wanted_is_not_pulled(here: Trials) -> None:
    here.add(RUNS)
    trial = here.pull(RUNS[:2], leave=[RUNS[0]])
    assert trial is not None
    assert trial.run == RUNS[1]
    assert here.pull(RUNS[:2], leave=[RUNS[0]]) is None


def test_a_complete_run_stays_complete(here: Trials, there: Trials) -> None:
    trial = here.pull(RUNS)
    assert trial is not None
    here.tell(trial, result(RUNS[0]))
    there.add(RUNS)
    assert there.overview(RUNS).complete == [RUNS[0]]
    (found,) = (t for t in there._study.trials if t.state == TrialState.COMPLETE)
    assert found.values == [75.0]
    assert found.user_attrs["params"] == 10


def test_the_run_of_a_dead_worker_waits_again(here: Trials, there: Trials, tmp_path: Path) -> None:
    dead = here.pull(RUNS)
    assert dead is not None
    assert there.pull(RUNS[:1]) is None
    bury(tmp_path)
    again = there.pull(RUNS[:1])
    assert again is not None
    assert again.run == dead.run
    assert there._study.trials[again.number].system_attrs["retry_history"] == [dead.number]
    assert there._study.trials[dead.number].state == TrialState.FAIL


def test_a_sign_of_life_keeps_a_run(here: Trials, there: Trials, tmp_path: Path) -> None:
    trial = here.pull(RUNS[:1])
    assert trial is not None
    bury(tmp_path)
    here.beat(trial.id)
    assert there.pull(RUNS[:1]) is None


def test_after_an_outage_nobody_is_taken_for_dead_at_once(
    here: Trials, there: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = here.pull(RUNS[:1])
    bury(tmp_path)
    with pytest.raises(StorageError, match="cut off"), there._database.plain_errors():
        raise RuntimeError("cut off")
    assert there.pull(RUNS[:1]) is None
    monkeypatch.setattr(there._database, "grace", 0)
    again = there.pull(RUNS[:1])
    assert dead is not None
    assert again is not None
    assert again.number == dead.number + 1


def test_a_worker_that_was_taken_for_dead_changes_nothing_any_more(here: Trials, there: Trials, tmp_path: Path) -> None:
    slow = here.pull(RUNS[:1])
    bury(tmp_path)
    again = there.pull(RUNS[:1])
    assert slow is not None
    assert again is not None
    here.tell(slow, result(RUNS[0]))
    here.fail(slow, NumericError("the loss is nan."))
    here.give_back(slow)
    assert set(here.overview(RUNS[:1]).running) == {RUNS[0]}
    there.tell(again, result(RUNS[0]))
    states = [trial.state for trial in there._study.trials]
    assert states == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_worker_that_dies_before_its_first_sign_of_life_is_found(
    here: Trials, there: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("record_heartbeat", "set_trial_user_attr", "set_trial_state_values"):
        with monkeypatch.context() as patch:
            patch.setattr(here._storage, step, die)
            with pytest.raises(KeyboardInterrupt):
                here.pull(RUNS[:1])
        bury(tmp_path)
        trial = there.pull(RUNS[:1])
        assert trial is not None, step
        there.give_back(trial)
    assert here.pull(RUNS[:1]) is not None
    bury(tmp_path)
    assert there.pull(RUNS[:1]) is not None


def test_a_worker_that_dies_while_it_buries_another_loses_nothing(
    here: Trials, there: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert here.pull(RUNS[:1]) is not None
    bury(tmp_path)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(here, "_mend", die)  # the trial has failed, its successor is not there yet
    with pytest.raises(KeyboardInterrupt):
        here.pull(RUNS[:1])
    assert [trial.state for trial in there._study.trials] == [TrialState.FAIL]
    again = there.pull(RUNS[:1])
    assert again is not None
    assert again.run == RUNS[0]


def test_a_run_that_kills_its_workers_is_given_up(here: Trials, tmp_path: Path) -> None:
    for _ in range(RETRIES + 1):
        assert here.pull(RUNS[:1]) is not None
        bury(tmp_path)
    assert here.pull(RUNS[:1]) is None
    seen = here.overview(RUNS[:1])
    assert list(seen.failed) == RUNS[:1]
    assert seen.failed[RUNS[0]].line.startswith(f"{RETRIES + 1} workers died of it, the last one was process")


def test_a_run_whose_training_failed_is_not_tried_again_until_asked(here: Trials, there: Trials) -> None:
    trial = here.pull(RUNS)
    assert trial is not None
    here.fail(trial, NumericError("the loss is nan;\nlower optim.lr."))
    failure = there.overview(RUNS).failed[RUNS[0]]
    assert (failure.line, failure.exit_code) == ("the loss is nan; lower optim.lr.", 6)
    there.add(RUNS)
    assert there.pull(RUNS[:1]) is None
    there.again(RUNS)
    there.again(RUNS)
    assert there.overview(RUNS).waiting == RUNS
    assert there.pull(RUNS[:1]) is not None
    assert there.pull(RUNS[:1]) is None


def test_what_is_given_back_waits_without_a_trace(here: Trials, there: Trials, tmp_path: Path) -> None:
    trial = here.pull(RUNS[:1])
    assert trial is not None
    here.give_back(trial)
    bury(tmp_path)
    again = there.pull(RUNS[:1])
    assert again == trial
    bury(tmp_path)
    assert here.pull(RUNS[:1]) is not None


def test_a_trial_may_have_several_values(tmp_path: Path) -> None:
    with Trials.open("sqlite", "search", runs=tmp_path, goals=("accuracy", "macs")) as trials:
        trial = trials.pull(RUNS)
        assert trial is not None
        trials.tell(trial, result(RUNS[0]))
        assert trials._study.trials[0].values == [75.0, 20.0]
        assert [direction.name for direction in trials._study.directions] == ["MAXIMIZE", "MINIMIZE"]
        with quiet():
            assert trials._study.metric_names == ["top-1 accuracy [%]", "multiply-adds"]
    with pytest.raises(StorageError, match=r"'search' with the goals \['accuracy', 'macs'\], asked are \['accuracy'\]"):
        Trials.open("sqlite", "search", runs=tmp_path)
    with pytest.raises(SpecError, match=r"goals = 'acuracy' .* Did you mean 'accuracy'"):
        Trials.open("sqlite", "other", runs=tmp_path, goals=("acuracy",))


def test_a_trial_says_what_is_trained_in_a_few_words(here: Trials) -> None:
    """A dashboard shows each attribute as a column: what holds every setting would fill the page."""
    run = replace(RUNS[1], se=(SESpec(reduction=8),), recipe=Recipe(epochs=3, optim=Optim(lr=0.05)))
    here.add([run])
    about = here._study.trials[0].user_attrs
    assert about == {
        "run": run.id,
        "model": "resnet20",
        "design": "standard r=8",
        "seed": 1,
        "settings": "data.name=digits recipe.epochs=3 recipe.optim.lr=0.05",
    }


def test_studies_of_one_storage_do_not_mix(here: Trials, tmp_path: Path) -> None:
    here.add(RUNS)
    with Trials.open("sqlite", "other", runs=tmp_path) as other:
        other.add(RUNS[:1])
        assert len(other._study.trials) == 1
        assert other.pull(RUNS[:1]) is not None
    assert here.overview(RUNS).waiting == RUNS


# ---- addresses and errors


def test_an_address_has_one_of_three_forms(tmp_path: Path) -> None:
    assert address("sqlite", runs=tmp_path).database == str(tmp_path / "trials.db")
    assert address("sqlite:///a/b.db", runs=tmp_path).database == "a/b.db"
    for text in (
        "postgresql://me:word@host/name",
        "postgres://me:word@host/name",
        "postgresql+psycopg://me:word@host/name",
    ):
        assert (
            address(text, runs=tmp_path).render_as_string(hide_password=False)
            == "postgresql+psycopg://me:word@host/name"
        )


@pytest.mark.parametrize(
    "text", ["trials.db", "mysql://me:word@host/name", "sqlite://", "sqlite:///:memory:", "", "a:word@b"]
)
def test_another_address_is_refused_without_its_password(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give sqlite") as caught:
        address(text, runs=tmp_path)
    assert "word" not in str(caught.value).split(";")[0]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "trials.db").write_text("no database " * 100)
    with pytest.raises(StorageError, match=r"trials\.db: file is not a database; is it an SQLite file"):
        Trials.open("sqlite", "study", runs=tmp_path)


def test_a_storage_of_another_version_is_named(here: Trials, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "trials.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v999'")
    with pytest.raises(StorageError, match="of another version of optuna"):
        Trials.open("sqlite", "study", runs=tmp_path)


def test_sqlite_on_a_network_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nhost:/x {tmp_path} nfs4 rw 0 0\n")
    assert _disk(tmp_path / "trials.db", mounts) == "nfs4"
    assert _disk(Path("/trials.db"), mounts) == "ext4"
    assert _disk(tmp_path, tmp_path / "none") == ""
    _refuse_network_disk(tmp_path / "trials.db")
    monkeypatch.setattr("senet.lab.database._disk", lambda path: "nfs4")
    with pytest.raises(StorageError, match="on a network disk"):
        _refuse_network_disk(tmp_path / "trials.db")


def test_a_turn_that_does_not_come_is_given_up(here: Trials, there: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("senet.lab.database.WAIT", 0.05)
    with here._database.turn(), pytest.raises(StorageError, match="another worker has held it"):
        there.add(RUNS)
    there.add(RUNS)
    assert module.HEARTBEAT < module.GRACE
