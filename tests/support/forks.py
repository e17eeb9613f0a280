"""Real processes that start in milliseconds: forked from a server that has imported torch and read the digits.

They train, are killed, get signals. Importing this module is what the server does.
"""

import hashlib
import json
import multiprocessing
import multiprocessing.forkserver
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import torch._dynamo  # the first optimiser of a process would import it
from torch import Tensor

from senet import cli
from senet.data import Augment, DataSpec, load
from senet.data.dataset import Data, Split
from senet.errors import SenetError
from senet.execution import processes
from senet.experiments.recipe import Optim, Recipe, Schedule
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.training.train import train

torch.set_num_threads(1)

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["forks"])

DATA = load(DataSpec(name="digits", train_size=200, test_size=50))
RECIPE = Recipe(
    epochs=2,
    batch_size=20,
    optim=Optim(lr=0.05, nesterov=True, weight_decay=5e-4),
    schedule=Schedule(name="cosine", warmup_epochs=0.5),
    augment=Augment(crop=1),
    channels_last=False,
)
RUN = Run(model="resnet8", data=DATA.spec, recipe=RECIPE)
STEPS = 10  # of an epoch


def _have_logs(folder: Path, processes: int) -> bool:
    return len({log.suffix for log in folder.iterdir()}) >= processes


@dataclass(frozen=True)
class Watched:
    """A split that logs the images and the time of every batch, can be slow, and can ring for the end.

    Attributes:
        split: gives the batches.
        log: a line for each batch: time, indices.
        seconds: of every batch.
        stop_at: signal this process to stop when it draws this batch, counted from 1; 0 is never.
        company: hold the first batch back until so many processes have a log `NAME.PID` beside this one.
    """

    split: Split
    log: Path | None = None
    seconds: float = 0.0
    stop_at: int = 0
    company: int = 0
    drawn: list[int] = field(default_factory=list)

    @property
    def labels(self) -> Tensor:
        return self.split.labels

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.split.shape

    def __len__(self) -> int:
        return len(self.split)

    def to(self, device: torch.device | str) -> "Watched":
        # not `replace`: what inherits from this class stays what it is
        return type(self)(self.split.to(device), self.log, self.seconds, self.stop_at, self.company, self.drawn)

    def batches(
        self,
        plan: Sequence[tuple[Tensor, int]],
        *,
        augment: Augment | None,
        device: torch.device | str,
        workers: int = 0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        batches = self.split.batches(plan, augment=augment, device=device, workers=workers)
        for (indices, _), batch in zip(plan, batches, strict=True):
            if self.log is not None:
                with self.log.open("a") as file:
                    file.write(json.dumps([time.monotonic(), *indices.tolist()]) + "\n")
                wait_until(partial(_have_logs, self.log.parent, self.company))
            time.sleep(self.seconds)
            self.drawn.append(len(indices))
            if len(self.drawn) == self.stop_at:
                os.kill(os.getpid(), signal.SIGUSR1)
            yield batch


def train_digits(
    run: Run,
    folder: Path,
    *,
    data: Data = DATA,
    log: Path | None = None,
    seconds: float = 0.0,
    test_seconds: float = 0.0,
    stop_at: int = 0,
    stop_at_test: int = 0,
    company: int = 0,
    setup: Setup | None = None,
    save_every: float = 60.0,
    **kw: Any,
) -> Result:
    """Train on watched digits."""
    parts = {
        "train": Watched(data.train, log, seconds, stop_at, company),
        "test": Watched(data.test, None, test_seconds, stop_at_test),
    }
    return train(run, replace(data, **parts), folder, setup or Setup(save_every=save_every), **kw)


def drawn(log: Path) -> list[tuple[float, list[int]]]:
    """Read a log of batches: time and images."""
    lines = map(json.loads, log.read_text().splitlines()) if log.exists() else ()
    return [(line[0], line[1:]) for line in lines]


def command(*words: str | Path) -> None:
    """Do what `senet WORDS` does."""
    sys.argv = ["senet", *map(str, words)]
    cli.main()


@dataclass
class Child:
    """A started process and the file that has what it printed."""

    process: BaseProcess
    output: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def said(self) -> str:
        return self.output.read_text() if self.output.exists() else ""

    @property
    def runs(self) -> bool:
        return self.process.exitcode is None

    def join(self, seconds: float = 60) -> int:
        """Wait for the end and give the exit code."""
        self.process.join(patient(seconds))
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"no end after {patient(seconds):.0f} s; it said:\n{self.said}")
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def start(
    output: Path, target: Callable[..., Any], *args: Any, env: Mapping[str, str] | None = None, **kw: Any
) -> Child:
    """Start a process that calls `target` and ends as the command line does; what it prints goes to `output`."""
    start_server()
    process = CONTEXT.Process(target=_call, args=(output, target, args, kw, dict(env or {})))
    process.start()
    return Child(process, output)


@cache
def start_server() -> None:
    """Start what the processes are forked from; the first of them would do it."""
    places = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11 hands no `sys.path` on
        patch.setenv("PYTHONPATH", os.pathsep.join(places))
        multiprocessing.forkserver.ensure_running()


def _call(output: Path, target: Callable[..., Any], args: Any, kw: Any, env: dict[str, str]) -> None:
    multiprocessing.set_start_method("fork", force=True)  # for image workers, as in a process of the command line
    os.setpgid(0, 0)  # signals to its group are not for the tests
    os.environ.update(env)
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    processes.CONTEXT = CONTEXT  # workers that start in milliseconds
    try:
        target(*args, **kw)
    except SenetError as error:
        print(f"senet: {error}", file=sys.stderr, flush=True)
        raise SystemExit(error.exit_code) from None


def start_ranks(
    output: Path, target: Callable[..., Any], *args: Any, size: int = 2, env: Mapping[str, str] | None = None, **kw: Any
) -> list[Child]:
    """Start a group of processes with the environment that torchrun gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **(env or {})}
    return [
        start(output.with_name(f"{output.name}{rank}"), target, *args, env={**env, "RANK": str(rank)}, **kw)
        for rank in range(size)
    ]


def holder(folder: Path) -> int:
    """Return the process that trains in a folder; 0 if none does."""
    lock = folder / "run.lock"
    found = re.match(r"process (\d+) ", lock.read_text()) if lock.exists() else None
    return int(found[1]) if found else 0


def digest(folder: Path) -> str:
    """Hash what a run leaves: weights, curve and result, without the times and the commit, which may come meanwhile."""
    result = json.loads((folder / "result.json").read_text())
    curve = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in (*curve, *result["curve"]):
        del line["seconds"]
    del result["train_seconds"], result["environment"]["commit"]
    left = json.dumps([result, curve], sort_keys=True).encode()
    return hashlib.sha256((folder / "model.safetensors").read_bytes() + left).hexdigest()


def patient(seconds: float) -> float:
    """Stretch a time limit on a busy machine."""
    return seconds * max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_until(is_so: Callable[[], object], *, seconds: float = 60) -> None:
    """Wait until something is true."""
    end = time.monotonic() + patient(seconds)
    while not is_so():
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.005)


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that come from it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def left_of(
    processes: Sequence[psutil.Process], *, seconds: float = 10, stretched: bool = True
) -> list[psutil.Process]:
    """Return those that still run after a while, which is stretched on a busy machine."""
    wait_until_gone = time.monotonic() + (patient(seconds) if stretched else seconds)
    while (left := [process for process in processes if is_running(process)]) and time.monotonic() < wait_until_gone:
        time.sleep(0.02)
    return left


def is_running(process: psutil.Process) -> bool:
    """Return whether a process is there, and not only its name."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
