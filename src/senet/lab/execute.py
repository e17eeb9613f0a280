"""Many runs: what is missing is trained, several at a time where asked, and what is there is read."""

import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.queues import Queue
from pathlib import Path
from types import FrameType

from senet.data.dataset import Data
from senet.data.loading import load
from senet.data.spec import DataSpec
from senet.errors import Interrupted
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.store import Store
from senet.lab.train import Progress, train

__all__ = ["Setup", "execute"]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How runs are carried out; nothing here changes what they mean.

    Attributes:
        data_dir: where data sets lie; None for the embedded digits.
        device: `cpu`, `cuda`, `cuda:1`.
        jobs: runs at a time, each in a process of its own if more than one.
        threads: of one operator in each run; 0 shares the cores among the jobs.
        workers: processes that decode image files, for each run.
        save_every: seconds between two checkpoints.
        tensorboard: write curves for TensorBoard.
        on_bad_image: `error` or `skip`.
        download: fetch a missing data set where the network allows.
    """

    data_dir: Path | None = None
    device: str = "cpu"
    jobs: int = 1
    threads: int = 0
    workers: int = 0
    save_every: float = 60.0
    tensorboard: bool = False
    on_bad_image: str = "error"
    download: bool = False

    def threads_each(self) -> int:
        """Threads of one run; 0 leaves torch's own number."""
        if self.threads or self.jobs == 1:
            return self.threads
        return max(1, (os.cpu_count() or 1) // self.jobs)


def execute(
    runs: Sequence[Run], store: Store, setup: Setup, *, watch: Callable[[Progress], None] | None = None
) -> Iterator[Result]:
    """Train what the store lacks and yield every result as soon as it is there.

    The data sets are loaded before the first step, so that a missing one is known at once.

    Args:
        runs: what is wanted, in order of wish.
        store: where results are and go.
        setup: device, processes, paths.
        watch: is told how the runs go.

    Raises:
        Interrupted: if a signal asked to stop; all running ones are saved and go on with the same command.
        SenetError: of the first run that failed; the others are saved.
    """
    missing = []
    for run in runs:
        if (found := store.get(run)) is None:
            missing.append(run)
        else:
            yield found
    if not missing:
        return
    for spec in dict.fromkeys(run.data for run in missing):
        _data(spec, setup)
    if setup.jobs == 1 or len(missing) == 1:
        _threads(setup.threads_each())
        for run in missing:
            yield _train(run, store.folder(run), setup, watch)
    else:
        yield from _in_processes(missing, store, setup, watch)


@lru_cache(maxsize=2)
def _data(spec: DataSpec, setup: Setup) -> Data:
    return load(spec, root=setup.data_dir, on_bad_image=setup.on_bad_image, download=setup.download)


def _threads(number: int) -> None:
    import torch

    if number:
        torch.set_num_threads(number)


def _train(run: Run, folder: Path, setup: Setup, watch: Callable[[Progress], None] | None) -> Result:
    return train(
        run,
        _data(run.data, setup),
        folder,
        device=setup.device,
        workers=setup.workers,
        save_every=setup.save_every,
        tensorboard=setup.tensorboard,
        watch=watch,
    )


_told: "Queue[Progress] | None" = None


def _begin(told: "Queue[Progress]", threads: int) -> None:
    global _told
    _told = told
    _threads(threads)


def _job(run: Run, folder: Path, setup: Setup) -> Result:
    assert _told is not None
    return _train(run, folder, setup, _told.put)


def _in_processes(
    runs: Sequence[Run], store: Store, setup: Setup, watch: Callable[[Progress], None] | None
) -> Iterator[Result]:
    context = multiprocessing.get_context("spawn")
    told: Queue[Progress] = context.Queue()
    jobs = min(setup.jobs, len(runs))
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(told, setup.threads_each()))
    waiting = list(runs)
    running: set[Future[Result]] = set()
    with pool, _passed_on(pool) as stopped:
        # only as many as can run: what waits inside the pool could not be called back
        while waiting or running:
            while waiting and len(running) < jobs and not stopped:
                run = waiting.pop(0)
                running.add(pool.submit(_job, run, store.folder(run), setup))
            done, running = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
            _drain(told, watch)
            try:
                for future in done:
                    yield future.result()
            except BaseException:
                for process in _processes(pool):
                    os.kill(process, signal.SIGTERM)
                raise
            if stopped and not running:
                raise Interrupted("stopped and saved; the same command goes on from here.")


def _drain(told: "Queue[Progress]", watch: Callable[[Progress], None] | None) -> None:
    while True:
        try:
            progress = told.get_nowait()
        except queue.Empty:
            return
        if watch is not None:
            watch(progress)


def _processes(pool: ProcessPoolExecutor) -> list[int]:
    return [process.pid for process in pool._processes.values() if process.pid is not None]


@contextmanager
def _passed_on(pool: ProcessPoolExecutor) -> Iterator[list[int]]:
    """Hand SIGTERM and SIGINT to the workers, which save and leave; the terminal has told them of Ctrl-C already."""
    stopped: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        again = bool(stopped)
        stopped.append(number)
        for process in _processes(pool):
            if number != signal.SIGINT or again:
                os.kill(process, number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        time.sleep(0)
