"""Processes that are pinned to GPUs: what each of them sees, without a GPU."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from senet.cli.machine import make_setup
from senet.cli.settings_words import StudySettings
from senet.data import DataSpec
from senet.errors import SpecError, UsageError
from senet.execution import processes
from senet.execution.execute import execute
from senet.execution.executors import RunTrainer
from senet.execution.processes import ProcessExecutor
from senet.execution.store import Store
from senet.experiments.recipe import RECIPES
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("gpus", "per_gpu", "seen"),
    [
        ("all", 1, ("0", "1", "2", "3")),
        ("0,2", 1, ("0", "2")),
        ("3", 2, ("3", "3")),
        ("1, 0", 2, ("1", "0", "1", "0")),
    ],
)
def test_every_process_gets_its_gpu(gpus: str, per_gpu: int, seen: tuple[str, ...]) -> None:
    setup = make_setup(StudySettings(per_gpu=per_gpu), jobs=0, gpus=gpus)
    assert (setup.gpus, setup.jobs, setup.device) == (seen, len(seen), "cuda")


@pytest.mark.usefixtures("four_gpus")
def test_numbers_count_among_the_gpus_that_a_batch_system_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-5f,6,7")
    assert make_setup(StudySettings(), jobs=0, gpus="1,3").gpus == ("GPU-5f", "7")


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("gpus", "words"),
    [
        ("4", "'4' is not a GPU here; choose all, or of 0, 1, 2, 3"),
        ("0,0", "names a GPU twice; per_gpu=2 lets runs share one"),
        ("", "'' is not a GPU here"),
        ("-1", "'-1' is not a GPU here"),
        ("0;1", "'0;1' is not a GPU here"),
    ],
)
def test_gpus_that_are_not_there_are_refused(gpus: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        make_setup(StudySettings(), jobs=0, gpus=gpus)
    assert words in str(error.value)


def test_gpus_without_a_gpu_contradictions_and_wrong_shares_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^--gpus all: torch finds no GPU here"):
        make_setup(StudySettings(), jobs=0, gpus="all")
    with pytest.raises(UsageError, match="contradict each other"):
        make_setup(StudySettings(), device="cpu", jobs=0, gpus="0")
    with pytest.raises(SpecError, match="per_gpu = 0 is out of range"):
        StudySettings(per_gpu=0)
    with pytest.raises(UsageError, match="leave out --gpus and --jobs"):
        make_setup(StudySettings(cluster="auto"), jobs=2)
    with pytest.raises(UsageError, match="the nodes choose the GPU"):
        make_setup(StudySettings(cluster="auto"), device="cuda:1", jobs=0)


class Look(RunTrainer):
    """In place of a training: writes down what the process sees, and whether torch could have seen something else."""

    def __call__(self, run: Run, folder: Path, watch: object = None) -> Result:
        folder.mkdir(parents=True)
        (folder / "seen").write_text(f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {os.getpid()}")
        raise UsageError("looked")


class Started:
    """In place of a process: the GPUs that its start would hand on."""

    seen: ClassVar[list[str | None]] = []
    pid = None

    def __init__(self, **_: object) -> None: ...

    def start(self) -> None:
        self.seen.append(os.environ.get("CUDA_VISIBLE_DEVICES"))

    def kill(self) -> None: ...

    def join(self) -> None: ...


def test_processes_start_with_their_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    monkeypatch.setattr(processes, "CONTEXT", SimpleNamespace(Pipe=multiprocessing.Pipe, Process=Started))
    base = Run(model="resnet8", data=DataSpec(train_size=40, test_size=40), recipe=RECIPES["digits"])
    with ProcessExecutor(RunTrainer(Setup()), 3, gpus=("2", "0", "2")) as place:
        for seed in range(3):
            place.start(replace(base, seed=seed), tmp_path)
        assert place.free == 0
    assert Started.seen == ["2", "0", "2"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1,2,3"


@pytest.mark.slow  # every process imports torch
def test_processes_see_their_gpu_from_their_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    base = Run(model="resnet8", data=DataSpec(train_size=40, test_size=40), recipe=replace(RECIPES["digits"], epochs=1))
    runs = [replace(base, seed=seed) for seed in range(4)]
    setup = Setup(jobs=3, gpus=("2", "0", "2"))
    ended = list(
        execute(runs, Store(tmp_path), setup, executor=lambda job, _: ProcessExecutor(Look(setup), 3, gpus=setup.gpus))
    )
    assert len(ended) == 4
    seen = [path.read_text().split() for path in tmp_path.glob("*/seen")]
    by_process = {process: gpu for gpu, process in seen}
    assert len(by_process) == 3
    assert sorted(by_process.values()) == ["0", "2", "2"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1,2,3"
