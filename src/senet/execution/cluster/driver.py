"""The driver of a cluster: hands runs to Ray as tasks and hears how they end.

Ray places the tasks, watches them and retries what a dead process or node takes down. Nothing here is a queue: what
waits, waits in `senet.execution.execute`, and who trains a run is said by the lock of its folder.
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
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is imported: nothing is reported to anybody

import ray
from ray.exceptions import OutOfMemoryError, RayError, TaskCancelledError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from senet.errors import Interrupted, SenetError, UsageError
from senet.execution.cluster.node import PROBE, Board, Expected, Refused, examine, source_digest, train, versions
from senet.execution.workers import Job, Outcome, Watch, loaded
from senet.experiments.run import Run
from senet.files.atomic import write_text
from senet.files.lock import RunLock

__all__ = ["Cluster"]

RETRIES = 10  # of one run, whose process or node is lost
PATIENCE = 60.0  # seconds that a node may take to answer
ANSWER = 5.0  # seconds in which a head node must accept a connection
LEAVE = 10.0  # seconds in which runs save when the driver leaves in the middle
LOOK = 1.0  # seconds between two looks at the nodes


class Cluster:
    """Workers of a Ray cluster.

    Args:
        job: how a run is trained; the device `auto` is a GPU where the cluster has one.
        wanted: runs that wait.
        root: folder of the runs, on a disk that all nodes share.
        address: `local` starts Ray on this machine, `auto` takes the cluster that is there, HOST:PORT names one.
        per_gpu: runs that share a GPU.

    Raises:
        UsageError: if no cluster answers at the address, or a node cannot take part.
    """

    def __init__(self, job: Job, wanted: int, *, root: Path, address: str, per_gpu: int = 1) -> None:
        self._job, self._wanted, self._root, self._address, self._per_gpu = job, wanted, root, address, per_gpu
        self._under_way: dict[Any, tuple[Run, Path]] = {}
        self._refused: dict[str, str] = {}
        self._slots, self._looked = 0, -LOOK
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            _connect(self._address)
            setup = self._job.setup
            if setup.device == "auto":
                setup = replace(setup, device="cuda" if ray.cluster_resources().get("GPU") else "cpu")
            self._job = Job(setup, self._job.judge, retry_failed=self._job.retry_failed)
            gpus = 1 / self._per_gpu if setup.device.startswith("cuda") else 0
            self._needs = {"num_cpus": max(1, setup.threads) + setup.workers, "num_gpus": gpus}
            self._expected = stack.enter_context(_probe(self._root))
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
            options = {"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": here}
            self._board = ray.remote(Board).options(**options).remote()
            self._examine_all()
            if not self._capacity():
                raise UsageError(
                    f"--cluster {self._address}: no node has {_in_words(self._needs)} for a run; lower --threads or "
                    "--workers, or add nodes."
                )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._stack, suppress(RayError):
            if self._under_way:
                self.stop()
                ray.wait(list(self._under_way), num_returns=len(self._under_way), timeout=LEAVE)

    @property
    def free(self) -> int:
        """Runs that the nodes have room for, as far as no other job of the cluster takes it."""
        return min(self._capacity(), self._wanted) - len(self._under_way)

    def start(self, run: Run, folder: Path) -> None:
        """Hand a run to Ray."""
        if run.data not in self._expected.images:
            self._expected.images[run.data] = loaded(run.data, self._job.setup).fingerprint
        selector = {"ray.io/node-id": f"!in({','.join(self._refused)})"} if self._refused else {}
        options = {
            **self._needs,
            "name": f"{run.model} {run.design} seed {run.seed}",
            "max_retries": RETRIES,
            "label_selector": selector,
            "scheduling_strategy": "SPREAD",
        }
        task = ray.remote(train).options(**options)
        reference = task.remote(self._job, run, folder.absolute(), self._board, self._expected)
        self._under_way[reference] = run, folder

    def listen(self, watch: Watch, *, seconds: float) -> Iterator[tuple[Run, Outcome]]:
        """Hear from the board and from the tasks that have ended."""
        if not self._under_way:
            return
        ended, _ = ray.wait(list(self._under_way), num_returns=1, timeout=seconds)
        with suppress(RayError):
            for progress in ray.get(self._board.take.remote(), timeout=10 * seconds):
                watch(progress)
        for reference in ended:
            run, folder = self._under_way.pop(reference)
            outcome = self._outcome(reference, run, folder)
            if isinstance(outcome, Refused):
                self._refuse(outcome)
                self.start(run, folder)
            else:
                yield run, outcome

    def stop(self) -> None:
        """Let what trains save and leave, and take back what has not begun."""
        with suppress(RayError):
            begun = ray.get(self._board.stop.remote(), timeout=PATIENCE)
            for reference, (run, _) in self._under_way.items():
                if run.id not in begun:
                    ray.cancel(reference)

    def _outcome(self, reference: Any, run: Run, folder: Path) -> Outcome | Refused:
        try:
            found: Outcome | Refused = ray.get(reference)
        except TaskCancelledError:
            return Interrupted(f"{folder}: stopped before the run began.")
        except OutOfMemoryError:
            reason = "a node had no memory left for it; give runs more room by --threads, or --per-gpu 1"
        except WorkerCrashedError:
            reason = f"its process ended {RETRIES + 1} times; Ray's logs tell why"
        except RayError as error:
            reason = _first_line(error)
        else:
            return found
        name = f"{run.model} {run.design} seed {run.seed}"
        return SenetError(f"{folder}: {name}: {reason}; the same command goes on from its last checkpoint.")

    def _refuse(self, refused: Refused) -> None:
        if refused.node not in self._refused:
            self._refused[refused.node] = refused.reason
            self._looked = -LOOK
            warnings.warn(f"a node takes no part: {refused.reason}", stacklevel=2)
        if not self._capacity():
            raise UsageError(f"--cluster {self._address}: no node can train: {refused.reason}")

    def _capacity(self) -> int:
        """Return for how many runs the living nodes that take part have room in all."""
        if time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            nodes = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] not in self._refused]
            self._slots = sum(_room(node["Resources"], self._needs) for node in nodes)
        return self._slots

    def _examine_all(self) -> None:
        """Examine every node that is there now; one that joins later is examined by its first task.

        Raises:
            UsageError: names the first node that cannot take part.
        """
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and _room(node["Resources"], self._needs)]
        task = ray.remote(examine)
        answers = [
            task.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                self._expected
            )
            for node in nodes
        ]
        try:
            reasons = [reason for reason in ray.get(answers, timeout=PATIENCE) if reason]
        except RayError as error:
            first = _first_line(error)
            reasons = [f"a node cannot run senet: {first}; install the same commit on all nodes."]
        if reasons:
            more = f" ({len(reasons)} of {len(nodes)} nodes)" if len(nodes) > 1 else ""
            raise UsageError(f"--cluster {self._address}: {reasons[0]}{more}")


def _connect(address: str) -> None:
    """Connect this process to Ray once: a search opens its workers many times. Ray leaves with the process."""
    if ray.is_initialized():
        return
    quiet = {"include_dashboard": False} if address == "local" else {}
    in_main = threading.current_thread() is threading.main_thread()
    heeds = signal.getsignal(signal.SIGTERM)
    try:
        if ":" in address:  # Ray itself asks a silent address for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=ANSWER).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **quiet)
    except (OSError, RayError, ValueError, RuntimeError) as error:
        first = _first_line(error)
        raise UsageError(
            f"--cluster {address}: no Ray cluster answers ({first}); start one (`ray start --head`), or give local."
        ) from error
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, heeds)  # Ray takes it, and what trains would not be saved


def _first_line(error: Exception) -> str:
    """Return what an error says, without the traceback of the node that Ray adds."""
    return next(iter(str(error).splitlines()), type(error).__name__)


class _probe:  # noqa: N801 (used as a function)
    """A folder beside the runs whose lock the driver holds, by which nodes show that they see the same disk."""

    def __init__(self, root: Path) -> None:
        token = secrets.token_hex(8)
        folder = root.absolute() / f".cluster-{token}"
        self._expected = Expected(folder, token, source_digest(), versions(), {})
        self._lock: RunLock | None = None

    def __enter__(self) -> Expected:
        folder = self._expected.folder
        folder.mkdir(parents=True)
        write_text(folder / PROBE, self._expected.token)
        self._lock = RunLock(folder)
        self._lock.__enter__()
        return self._expected

    def __exit__(self, *error: Any) -> None:
        if self._lock is not None:
            self._lock.__exit__(*error)
        shutil.rmtree(self._expected.folder, ignore_errors=True)


def _room(has: dict[str, float], needs: dict[str, float]) -> int:
    """Return how many runs a node has room for."""
    rooms = [has.get("CPU", 0) // needs["num_cpus"]]
    if needs["num_gpus"]:
        rooms.append(has.get("GPU", 0) * round(1 / needs["num_gpus"]))
    return int(min(rooms))


def _in_words(needs: dict[str, float]) -> str:
    gpu = f" and {needs['num_gpus']:g} GPU" if needs["num_gpus"] else ""
    return f"{needs['num_cpus']} CPU{gpu}"
