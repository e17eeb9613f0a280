"""Real signals to real processes: they save, leave, and go on with the same bits."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from forks import (
    DATA,
    RUN,
    Child,
    command,
    digest,
    drawn,
    family,
    holder,
    left_of,
    patient,
    start,
    train_digits,
    wait_until,
)
from PIL import Image

from senet.signals import Stop, stoppable
from senet.training.checkpoint import Checkpoints
from senet.training.train import train

CODES = {signal.SIGTERM: 75, signal.SIGINT: 130, signal.SIGUSR1: 75}
WORDS = ("--epochs", "3", "--batch-size", "4", "data.train_size=200", "data.test_size=50")  # 150 steps
SECONDS = 5  # that a stop may take beside its step


def is_in_its_second_epoch(folder: Path) -> bool:
    curve = folder / "metrics.jsonl"
    return curve.exists() and curve.read_text().count("\n") == 1


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert start(folder / "said", command, "train", *WORDS, "-o", folder / "run").join() == 0
    return folder / "run"


@pytest.mark.slow  # the next tests do the same with processes that start faster
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_the_command_saves_leaves_and_goes_on(number: signal.Signals, undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [sys.executable, "-m", "senet", "train", *WORDS, "-o", str(folder)]
    env = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: is_in_its_second_epoch(folder) or process.poll() is not None, seconds=120)
    members, asked = family(process.pid), time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=patient(60))
    assert process.returncode == CODES[number], said
    assert time.monotonic() - asked < patient(SECONDS)
    saved = f"senet: {folder}: stopped and saved; run the same command again to continue. (resnet8 plain seed 0)"
    assert said.splitlines()[-1] == saved
    assert not left_of(members)
    found = Checkpoints(folder / "checkpoints").latest()
    assert found is not None
    assert 50 <= found.step < 150
    again = start(tmp_path / "said", command, "train", *WORDS, "-o", folder)
    assert again.join() == 0, again.said
    assert digest(folder) == digest(undisturbed)


def begin(place: Path, **kw: float) -> Child:
    """Start a training and wait for its third step."""
    child = start(place / "said", train_digits, RUN, place / "run", log=place / "log", **kw)
    wait_until(lambda: len(drawn(place / "log")) > 2 or not child.runs)
    return child


@pytest.mark.parametrize("number", CODES)
def test_one_signal_saves_and_the_rest_of_the_run_has_the_same_bits(number: signal.Signals, tmp_path: Path) -> None:
    child = begin(tmp_path, seconds=0.05)
    os.kill(child.pid, number)
    assert child.join(SECONDS) == CODES[number], child.said
    assert "stopped and saved" in child.said
    assert len(drawn(tmp_path / "log")) < 20
    train(RUN, DATA, tmp_path / "run")
    train(RUN, DATA, tmp_path / "undisturbed")
    assert digest(tmp_path / "run") == digest(tmp_path / "undisturbed")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_a_run_that_does_not_come_to_an_end(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    child = start(tmp_path / "said", train_digits, RUN, tmp_path / "run", log=tmp_path / "log", seconds=300.0)
    wait_until(lambda: drawn(tmp_path / "log"))
    os.kill(child.pid, number)
    time.sleep(0.7)
    assert child.runs
    os.kill(child.pid, number)
    assert child.join(1) == code


def test_the_echo_of_a_signal_is_not_a_second_one(tmp_path: Path) -> None:
    child = begin(tmp_path, seconds=0.3)
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        os.kill(child.pid, number)
        time.sleep(0.02)
    assert child.join(SECONDS) == 75, child.said
    assert Checkpoints(tmp_path / "run" / "checkpoints").latest() is not None


def test_outside_a_training_signals_do_what_they_did(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in CODES]
    with stoppable() as stop, stoppable() as inner:
        assert inner is stop
        assert not stop
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop
        assert stop.error("m").exit_code == 75
    assert [signal.getsignal(number) for number in CODES] == before
    assert Stop(signal.SIGINT).error("m").exit_code == 130


# ---- with processes that decode images


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for split, number in (("train", 12), ("val", 4)):
        for label in ("cat", "dog"):
            (root / split / label).mkdir(parents=True)
            for index in range(number):
                pixels = torch.randint(256, (80, 72, 3), dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(root / split / label / f"{index}.png")
    return root


def train_photos(photos: Path, folder: Path, *, workers: int) -> tuple[str | Path, ...]:
    words = ("data.size=66", "--model", "resnet8", "--epochs", "3", "-b", "2", "--workers", str(workers))
    return ("train", "--data", "folder", "--data-dir", photos, *words, "-o", folder)


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True], ids=["to the process", "to its group"])
def test_with_workers_a_signal_saves_and_leaves_no_orphans(whole_group: bool, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    child = start(tmp_path / "said", command, *train_photos(photos, folder, workers=2))
    wait_until(lambda: is_in_its_second_epoch(folder) or not child.runs)
    wait_until(lambda: len(family(child.pid)) == 3 or not child.runs)
    members = family(child.pid)
    (os.killpg if whole_group else os.kill)(child.pid, signal.SIGTERM)
    assert child.join(SECONDS) == 75, child.said
    assert "stopped and saved" in child.said
    assert "Traceback" not in child.said
    assert not left_of(members)
    for number, workers in enumerate((2, 0)):
        target = folder if number == 0 else tmp_path / "undisturbed"
        again = start(tmp_path / "said", command, *train_photos(photos, target, workers=workers))
        assert again.join() == 0, again.said
    assert digest(folder) == digest(tmp_path / "undisturbed")


FORK_SERVER = """
import multiprocessing
from senet.cli import main
if __name__ == "__main__":
    multiprocessing.set_start_method("forkserver")  # as Python 3.14 does
    main()
"""


@pytest.mark.slow
def test_a_signal_to_the_group_waits_for_workers_that_come_from_a_fork_server(photos: Path, tmp_path: Path) -> None:
    script, folder = tmp_path / "main.py", tmp_path / "run"
    script.write_text(FORK_SERVER)
    words = [sys.executable, str(script), *map(str, train_photos(photos, folder, workers=2))]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(lambda: is_in_its_second_epoch(folder) or process.poll() is not None, seconds=120)
    members = family(process.pid)
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=patient(60))
    assert process.returncode == 75, said
    *_, first, second = said.splitlines()
    assert first == "senet: stopping: runs in training are saved after their step; a second signal ends at once."
    assert second.startswith(f"senet: {folder}: stopped and saved; run the same command again to continue. (")
    assert not left_of(members)


# ---- several runs at a time


def compare(place: Path) -> tuple[str | Path, ...]:
    words = ("-j", "2", "--se", "standard", "--seeds", "2", "--epochs", "2", "-b", "4", "--no-cost")
    small = ("data.train_size=200", "data.test_size=50")
    return ("compare", *words, *small, "--runs", place / "runs", "-o", place / "out")


def digests(place: Path) -> dict[str, str]:
    return {folder.name: digest(folder) for folder in (place / "runs").iterdir()}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    place = tmp_path_factory.mktemp("compared")
    child = start(place / "said", command, *compare(place))
    assert child.join(120) == 0, child.said
    assert len(digests(place)) == 4
    return digests(place)


@pytest.fixture
def comparison(tmp_path: Path) -> Iterator[Child]:
    """A comparison with two runs under way."""
    child = start(tmp_path / "said", command, *compare(tmp_path))
    wait_until(lambda: len(busy(tmp_path)) == 2 or not child.runs)
    yield child
    child.kill()


def busy(place: Path) -> list[int]:
    """Return the processes that train, and have begun to."""
    return [holder(curve.parent) for curve in place.glob("runs/*/metrics.jsonl") if holder(curve.parent)]


def assert_goes_on(place: Path, wanted: dict[str, str]) -> None:
    again = start(place / "said", command, *compare(place))
    assert again.join(120) == 0, again.said
    assert digests(place) == wanted


@pytest.mark.slow
def test_a_comparison_saves_all_its_runs_and_goes_on(
    comparison: Child, compared: dict[str, str], tmp_path: Path
) -> None:
    trainers = [member for pid in busy(tmp_path) for member in family(pid)]
    os.kill(comparison.pid, signal.SIGTERM)
    assert comparison.join(SECONDS) == 75, comparison.said
    assert comparison.said.splitlines()[-1].endswith("runs: stopped and saved; run the same command again to continue.")
    assert "Traceback" not in comparison.said
    assert not left_of(trainers)
    saved = [Checkpoints(folder / "checkpoints").latest() for folder in (tmp_path / "runs").iterdir()]
    assert len([one for one in saved if one is not None]) == 2
    assert_goes_on(tmp_path, compared)


@pytest.mark.slow
def test_a_killed_worker_is_told_in_one_line_and_the_command_goes_on(
    comparison: Child, compared: dict[str, str], tmp_path: Path
) -> None:
    first, second = busy(tmp_path)
    os.kill(first, signal.SIGKILL)
    assert comparison.join(SECONDS) == 1, comparison.said
    lines = [line for line in comparison.said.splitlines() if line.startswith("senet:")]
    assert len(lines) == 1
    assert "the process that trained resnet8" in lines[0]
    assert "was killed by SIGKILL, perhaps because the memory was full; run the same command again" in lines[0]
    assert "Traceback" not in comparison.said
    assert not [pid for pid in (first, second) if left_of(family(pid) if is_there(pid) else [])]
    assert_goes_on(tmp_path, compared)


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", ["while they start", "while they train"])
def test_processes_whose_parent_is_killed_end_at_once_and_the_command_goes_on(
    moment: str, compared: dict[str, str], tmp_path: Path
) -> None:
    """Within a second on an idle machine, also while they import torch."""
    words = [sys.executable, "-m", "senet", *map(str, compare(tmp_path))]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if moment == "while they start":
        wait_until(lambda: len(family(process.pid)) >= 4 or process.poll() is not None, seconds=200)
    else:
        wait_until(lambda: len(busy(tmp_path)) == 2 or process.poll() is not None, seconds=200)
    trainers = family(process.pid)[1:]
    assert len(trainers) >= 3  # two, and what counts resources for them
    process.kill()
    assert not left_of(trainers, seconds=1)
    assert process.wait() == -signal.SIGKILL
    assert_goes_on(tmp_path, compared)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("whole_group", [False, True], ids=["to the process", "to its group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_real_comparison_saves_all_its_runs_and_goes_on(
    number: signal.Signals, whole_group: bool, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "senet", *map(str, compare(tmp_path))]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(lambda: len(busy(tmp_path)) == 2 or process.poll() is not None, seconds=200)
    members, asked = family(process.pid), time.monotonic()
    (os.killpg if whole_group else os.kill)(process.pid, number)
    _, said = process.communicate(timeout=patient(60))
    assert process.returncode == CODES[number], said
    assert time.monotonic() - asked < patient(SECONDS)
    assert said.splitlines()[-1].endswith("runs: stopped and saved; run the same command again to continue.")
    assert "Traceback" not in said
    assert not left_of(members)
    again = subprocess.run(words, env=env, stderr=subprocess.PIPE, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert len(digests(tmp_path)) == 4


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_comparison_that_is_stopped_while_its_workers_start_leaves_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "senet", *map(str, compare(tmp_path))]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(lambda: len(family(process.pid)) >= 4 or process.poll() is not None, seconds=200)
    members = family(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=patient(60))
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not left_of(members)
