"""Many runs: what is missing is trained, several at a time where asked, and what is there is read."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from senet.data.dataset import Data
from senet.data.loading import load
from senet.data.spec import DataSpec
from senet.errors import CheckpointError, Interrupted, SenetError, StoppedEarly
from senet.lab.early import Judge, Pruned, read_pruned
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.stop import stoppable
from senet.lab.store import Store
from senet.lab.train import Progress, train
from senet.lab.workers import crew, listen

__all__ = ["Setup", "execute", "train_as"]

POLL = 0.2  # seconds between two looks at whether to stop


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
        fused: train with fused norms and blocks (`senet.accelerate`).
        graph: record training steps as CUDA graphs.
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
    fused: bool = True
    graph: bool = False

    def threads_each(self) -> int:
        """Threads of one run; 0 leaves torch's own number."""
        if self.threads or self.jobs == 1:
            return self.threads
        return max(1, (os.cpu_count() or 1) // self.jobs)


def execute(
    runs: Sequence[Run],
    store: Store,
    setup: Setup,
    *,
    watch: Callable[[Progress], None] | None = None,
    judge: Judge | None = None,
    pruned: Callable[[Pruned], None] | None = None,
) -> Iterator[Result]:
    """Train what the store lacks and yield every result as soon as it is there, each once.

    The data sets are loaded before the first step, so that a missing one is known at once.

    Args:
        runs: what is wanted, in order of wish.
        store: where results are and go.
        setup: device, processes, paths.
        watch: is told how the runs go.
        judge: may stop runs that fall behind; these are told to `pruned` in place of a result.
        pruned: is told of them; None passes over them.

    Raises:
        CheckpointError: if a result is damaged, or of other images than those that are there.
        Interrupted: if a signal asked to stop; all running ones are saved and go on with the same command.
        SenetError: of the first run that failed; the others are saved.
    """
    results = {run: store.get(run) for run in runs}
    there = [result for result in results.values() if result is not None]
    missing = [run for run, result in results.items() if result is None]
    # a user's folder is known by its content only: finished runs are held against it too
    wanted = [run.data for run in missing] + [run.data for run in runs if run.data.name == "folder"]
    for spec in dict.fromkeys(wanted):
        _refuse_other_images(there, _data(spec, setup))
    yield from there
    job = partial(_train, setup, judge=judge)
    tell = partial(_tell_pruned, store, pruned)
    if setup.jobs == 1 or len(missing) < 2:
        for run in missing:
            result = None
            with stoppable() as stop:  # around the training, which looks at its flag for the last time before it tests
                try:
                    result = job(run, store.folder(run), watch or _ignore)
                except StoppedEarly:
                    tell(run)
                if stop:
                    raise stop.error(f"{store.root}: stopped behind a whole run; the same command goes on from here.")
            if result is not None:
                yield result
    else:
        _data.cache_clear()  # every worker reads its own
        yield from _in_processes(missing, store, min(setup.jobs, len(missing)), job, watch or _ignore, tell)


def _refuse_other_images(results: Sequence[Result], data: Data) -> None:
    for result in results:
        if result.run.data == data.spec and result.data != data.fingerprint:
            raise CheckpointError(
                f"run {result.run.id} ({result.run.design}) saw other images than there are now: {result.data} -> "
                f"{data.fingerprint}; remove its result, choose another folder of runs, or bring the images back."
            )


@lru_cache(maxsize=2)
def _data(spec: DataSpec, setup: Setup) -> Data:
    return load(spec, root=setup.data_dir, on_bad_image=setup.on_bad_image, download=setup.download)


def _train(
    setup: Setup, run: Run, folder: Path, watch: Callable[[Progress], None], *, judge: Judge | None = None
) -> Result:
    import torch

    if threads := setup.threads_each():
        torch.set_num_threads(threads)
    try:
        return train_as(setup, run, _data(run.data, setup), folder, watch=watch, judge=judge)
    except SenetError as error:
        error.add_note(f"{run.model} {run.design} seed {run.seed}")
        raise


def train_as(
    setup: Setup,
    run: Run,
    data: Data,
    folder: Path,
    *,
    watch: Callable[[Progress], None],
    judge: Judge | None = None,
) -> Result:
    """Train a run in this process as a setup says, see `senet.lab.train.train`."""
    return train(
        run,
        data,
        folder,
        device=setup.device,
        workers=setup.workers,
        save_every=setup.save_every,
        tensorboard=setup.tensorboard,
        fused=setup.fused,
        graph=setup.graph,
        watch=watch,
        judge=judge,
    )


def _ignore(progress: Progress) -> None: ...


def _tell_pruned(store: Store, tell: Callable[[Pruned], None] | None, run: Run) -> None:
    record = read_pruned(store.folder(run))
    assert record is not None  # it is written before StoppedEarly is raised
    if tell is not None:
        tell(record)


def _in_processes(
    runs: Sequence[Run],
    store: Store,
    jobs: int,
    job: Callable[[Run, Path, Callable[[Progress], None]], Result],
    watch: Callable[[Progress], None],
    tell: Callable[[Run], None],
) -> Iterator[Result]:
    waiting, failure = list(runs), None
    with stoppable() as stop, crew(jobs, job) as workers:
        while waiting or any(worker.run for worker in workers):
            for worker in workers:
                if stop or failure:
                    worker.ask_to_stop()
                elif waiting and worker.run is None:
                    run = waiting.pop(0)
                    worker.give(run, store.folder(run))
            if stop or failure:
                waiting.clear()
            at_work = {worker: worker.run for worker in workers}
            for worker, message in listen(workers, seconds=POLL):
                match message:
                    case Progress():
                        watch(message)
                    case Result():
                        yield message
                    case StoppedEarly():
                        if (stopped := at_work[worker]) is not None:
                            tell(stopped)
                    case BaseException() if failure is None or isinstance(failure, Interrupted):
                        failure = message
    if failure is not None and not isinstance(failure, Interrupted):
        raise failure
    if stop or failure:
        raise stop.error(f"{store.root}: stopped and saved; the same command goes on from here.")
