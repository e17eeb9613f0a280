"""Options of the execution of runs: device, processes, threads, paths. No torch here."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Setup", "cores"]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Options of the execution of runs; they do not change the meaning of a run.

    Attributes:
        data_dir: folder of the data sets; None for embedded ones.
        device: `cpu`, `cuda`, `cuda:1`.
        jobs: number of runs at a time, each in its own process if more than one.
        threads: threads of one operator in each run; 0 uses `OMP_NUM_THREADS`, or divides the cores among the jobs.
        workers: processes that decode image files, for each run.
        save_every: seconds between two checkpoints.
        tensorboard: write curves for TensorBoard.
        watch_gates: add to the curve which share of the gates of each block is open, shut, in the middle or stuck.
        on_bad_image: `error` or `skip`.
        download: fetch a missing data set where the network allows.
        fused: train with fused norms and blocks (`senet.accelerate`).
        graph: record training steps as CUDA graphs.
        gpus: what each process sees as `CUDA_VISIBLE_DEVICES`, one run at a time for each; empty leaves it as it is.
        cluster: where runs are trained: `local`, `auto` or the address of a Ray cluster; empty is this machine.
        per_gpu: runs that share a GPU of a cluster.
    """

    data_dir: Path | None = None
    device: str = "cpu"
    jobs: int = 1
    threads: int = 0
    workers: int = 0
    save_every: float = 60.0
    tensorboard: bool = False
    watch_gates: bool = False
    on_bad_image: str = "error"
    download: bool = False
    fused: bool = True
    graph: bool = False
    gpus: tuple[str, ...] = ()
    cluster: str = ""
    per_gpu: int = 1

    def threads_each(self) -> int:
        """Return the threads of one run; 0 leaves torch's own number, which heeds `OMP_NUM_THREADS`."""
        if self.threads or self.jobs == 1 or os.environ.get("OMP_NUM_THREADS"):
            return self.threads
        return max(1, cores() // self.jobs)


def cores() -> int:
    """Count the cores that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
