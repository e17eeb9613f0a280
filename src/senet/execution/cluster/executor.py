"""The executor of a Ray cluster: submits runs as tasks and yields how they end.

Ray places the tasks, watches them and retries those whose process or node has died. There is no queue here: runs wait
in `senet.execution.execute`, and the lock of a run's folder names the process that trains it.
"""

import os
import secrets
import shutil
import signal
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is imported: it would report its use

import ray
from ray.exceptions import OutOfMemoryError, RayError, TaskCancelledError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from senet.errors import Interrupted, SenetError, UsageError, reason_of
from senet.execution.cluster.node import (
    PROBE,
    Expected,
    ProgressActor,
    Refused,
    examine,
    source_digest,
    train,
    versions,
)
from senet.execution.executors import RunOutcome, RunTrainer, Watch, load_cached
from senet.experiments.run import Run
from senet.files.atomic import write_text
from senet.files.lock import RunLock

__all__ = ["ClusterExecutor"]

RETRIES = 10  # of a run whose process or node has died
START = 300.0  # seconds that nodes may take to start a process, import torch and answer; loaded ones need minutes
PATIENCE = 60.0  # seconds that the actor may take to answer
ANSWER = 5.0  # seconds in which a head node must accept a connection
LEAVE = 10.0  # seconds that running tasks get to save when the driver ends before them
CHECK_EVERY = 1.0  # seconds between two checks of the nodes


class ClusterExecutor:
    """Train runs as tasks of a Ray cluster.

    Args:
        trainer: trains a run; the device `auto` is a GPU where the cluster has one.
        wanted: number of runs to train.
        root: folder of the runs, on a disk that all nodes share.
        address: `local` starts Ray on this machine, `auto` connects to the running cluster, HOST:PORT names one.
        per_gpu: runs that share a GPU.

    Raises:
        UsageError: if no cluster answers at the address, or a node cannot train.
    """

    def __init__(self, trainer: RunTrainer, wanted: int, *, root: Path, address: str, per_gpu: int = 1) -> None:
        self._trainer, self._wanted, self._root, self._address, self._per_gpu = trainer, wanted, root, address, per_gpu
        self._running: dict[Any, tuple[Run, Path]] = {}
        self._refused: dict[str, str] = {}
        self._slots, self._checked = 0, -CHECK_EVERY
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            _connect(self._address)
            setup = self._trainer.setup
            if setup.device == "auto":
                setup = replace(setup, device="cuda" if ray.cluster_resources().get("GPU") else "cpu")
            self._trainer = RunTrainer(setup, self._trainer.pruner, retry_failed=self._trainer.retry_failed)
            gpus = 1 / self._per_gpu if setup.device.startswith("cuda") else 0
            self._needs = {"num_cpus": max(1, setup.threads) + setup.workers, "num_gpus": gpus}
            self._expected = stack.enter_context(_probe(self._root))
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
            options = {"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": here}
            self._actor = ray.remote(ProgressActor).options(**options).remote()
            self._examine_all()
            if not self._capacity():
                raise UsageError(
                    f"cluster={self._address}: no node has {_in_words(self._needs)} for a run; lower threads or "
                    "workers, or add nodes."
                )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._stack, suppress(RayError):
            if self._running:
                self.stop()
                ray.wait(list(self._running), num_returns=len(self._running), timeout=LEAVE)

    @property
    def free(self) -> int:
        """Number of runs that the nodes have room for, unless other users of the cluster take it."""
        return min(self._capacity(), self._wanted) - len(self._running)

    def start(self, run: Run, folder: Path) -> None:
        """Submit a run to Ray."""
        if run.data not in self._expected.images:
            self._expected.images[run.data] = load_cached(run.data, self._trainer.setup).fingerprint
        selector = {"ray.io/node-id": f"!in({','.join(self._refused)})"} if self._refused else {}
        options = {
            **self._needs,
            "name": f"{run.model} {run.design} seed {run.seed}",
            "max_retries": RETRIES,
            "label_selector": selector,
            "scheduling_strategy": "SPREAD",
        }
        task = ray.remote(train).options(**options)
        reference = task.remote(self._trainer, run, folder.absolute(), self._actor, self._expected)
        self._running[reference] = run, folder

    def listen(self, watch: Watch, *, seconds: float) -> Iterator[tuple[Run, RunOutcome]]:
        """Receive progress from the actor, and the outcomes of tasks that have ended."""
        if not self._running:
            return
        ended, _ = ray.wait(list(self._running), num_returns=1, timeout=seconds)
        with suppress(RayError):
            for progress in ray.get(self._actor.take.remote(), timeout=10 * seconds):
                watch(progress)
        for reference in ended:
            run, folder = self._running.pop(reference)
            outcome = self._outcome(reference, run, folder)
            if isinstance(outcome, Refused):
                self._refuse(outcome)
                self.start(run, folder)
            else:
                yield run, outcome

    def stop(self) -> None:
        """Ask running tasks to save and stop, and cancel those that have not begun."""
        with suppress(RayError):
            begun = ray.get(self._actor.stop.remote(), timeout=PATIENCE)
            for reference, (run, _) in self._running.items():
                if run.id not in begun:
                    ray.cancel(reference)

    def _outcome(self, reference: Any, run: Run, folder: Path) -> RunOutcome | Refused:
        try:
            found: RunOutcome | Refused = ray.get(reference)
        except TaskCancelledError:
            return Interrupted(f"{folder}: stopped before the run began.")
        except OutOfMemoryError:
            reason = "its node ran out of memory; train fewer runs per node with more threads, or per_gpu=1"
        except WorkerCrashedError:
            reason = f"its process ended {RETRIES + 1} times; see Ray's logs for the reason"
        except RayError as error:
            reason = reason_of(error)
        else:
            return found
        name = f"{run.model} {run.design} seed {run.seed}"
        return SenetError(
            f"{folder}: {name}: {reason}; run the same command again to continue from the last checkpoint."
        )

    def _refuse(self, refused: Refused) -> None:
        if refused.node not in self._refused:
            self._refused[refused.node] = refused.reason
            self._checked = -CHECK_EVERY
            warnings.warn(f"a node is excluded: {refused.reason}", stacklevel=2)
        if not self._capacity():
            raise UsageError(f"cluster={self._address}: no node can train: {refused.reason}")

    def _capacity(self) -> int:
        """Return the number of runs that fit on all living nodes that are not excluded."""
        if time.monotonic() - self._checked >= CHECK_EVERY:
            self._checked = time.monotonic()
            nodes = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] not in self._refused]
            self._slots = sum(_room(node["Resources"], self._needs) for node in nodes)
        return self._slots

    def _examine_all(self) -> None:
        """Check every node that is present now; the first task of a node that joins later checks it.

        Raises:
            UsageError: names the first node that cannot train.
        """
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and _room(node["Resources"], self._needs)]
        task = ray.remote(examine)
        answers = [
            task.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                self._expected
            )
            for node in nodes
        ]
        _, late = ray.wait(answers, num_returns=len(answers), timeout=START)
        try:
            reasons = [reason for reason in ray.get([one for one in answers if one not in late]) if reason]
        except RayError as error:
            first = reason_of(error)
            reasons = [f"a node cannot run senet: {first}; install the same commit on all nodes."]
        if late and not reasons:
            names = ", ".join(node[:8] for node, one in zip(nodes, answers, strict=True) if one in late)
            reasons = [
                f"no answer in {START:g} s from node {names}; free its processors, or remove it from the cluster."
            ]
        if reasons:
            more = f" ({len(reasons)} of {len(nodes)} nodes)" if len(nodes) > 1 else ""
            raise UsageError(f"cluster={self._address}: {reasons[0]}{more}")


def _connect(address: str) -> None:
    """Connect this process to Ray once, because a search opens an executor many times; it disconnects at exit."""
    if ray.is_initialized():
        return
    quiet = {"include_dashboard": False} if address == "local" else {}
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if ":" in address:  # Ray itself waits for minutes where nothing listens
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=ANSWER).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **quiet)
    except (OSError, RayError, ValueError, RuntimeError) as error:
        first = reason_of(error)
        raise UsageError(
            f"cluster={address}: no Ray cluster answers ({first}); start one (`ray start --head`), or use "
            "cluster=local."
        ) from error
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, handler)  # with Ray's own handler, trainings would not be saved


@contextmanager
def _probe(root: Path) -> Iterator[Expected]:
    """Hold the lock of a folder beside the runs; a node that sees both token and lock shares the disk."""
    token = secrets.token_hex(8)
    folder = root.absolute() / f".cluster-{token}"
    folder.mkdir(parents=True)
    try:
        write_text(folder / PROBE, token)
        with RunLock(folder):
            yield Expected(folder, token, source_digest(), versions(), {})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _room(has: dict[str, float], needs: dict[str, float]) -> int:
    """Return the number of runs that a node has room for."""
    rooms = [has.get("CPU", 0) // needs["num_cpus"]]
    if needs["num_gpus"]:
        rooms.append(has.get("GPU", 0) * round(1 / needs["num_gpus"]))
    return int(min(rooms))


def _in_words(needs: dict[str, float]) -> str:
    gpu = f" and {needs['num_gpus']:g} GPU" if needs["num_gpus"] else ""
    return f"{needs['num_cpus']} CPU{gpu}"
