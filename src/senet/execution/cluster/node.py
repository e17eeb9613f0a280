"""What happens on a node of the cluster: it is examined, and trains one run.

Ray starts these functions, watches them and starts them again elsewhere when their process or node is lost; the run
then goes on from the last checkpoint of its folder.
"""

import hashlib
import os
import signal
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import RayError

import senet
from senet.errors import SenetError
from senet.execution.workers import Job, Outcome, loaded
from senet.experiments.data_spec import DataSpec
from senet.experiments.failed_run import is_of_the_run
from senet.experiments.run import Run
from senet.files.lock import holder
from senet.signals import stoppable
from senet.training.progress import Progress

__all__ = ["PROBE", "Board", "Expected", "Refused", "examine", "source_digest", "train"]

PROBE = "probe"
PACE = 0.5  # seconds between two words with the board


@dataclass(frozen=True)
class Expected:
    """What the driver has and a node must have too.

    Attributes:
        folder: beside the folders of the runs; the driver holds its lock while it lives.
        token: content of the file `PROBE` in it.
        source: digest of senet's own files.
        versions: of what decides the bits of a training.
        images: fingerprints of the data sets, as the driver has them.
    """

    folder: Path
    token: str
    source: str
    versions: dict[str, str]
    images: dict[DataSpec, str]


@dataclass(frozen=True)
class Refused:
    """A node that cannot train a run.

    Attributes:
        node: Ray's name of it.
        reason: in a sentence, with the address of the node.
    """

    node: str
    reason: str


@cache
def source_digest() -> str:
    """Return a digest of the files of the installed senet: equal on nodes that run the same code."""
    root = Path(senet.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".cpp", ".h"):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions that decide the bits of a training."""
    return {"torch": torch.__version__}


def examine(expected: Expected) -> str:
    """Return why this node cannot train for the driver; empty if it can."""
    where = f"node {ray.util.get_node_ip_address()}"
    try:
        token = (expected.folder / PROBE).read_text(encoding="utf-8")
    except OSError:
        token = ""
    if token != expected.token:
        return (
            f"{where} does not see {expected.folder.parent}, the folder of the runs; put --runs on a disk that all "
            "nodes share under the same path."
        )
    if not holder(expected.folder):
        return (
            f"{where} does not see the driver's lock in {expected.folder.parent}; mount the shared disk with locks, so "
            "that no run is trained twice."
        )
    if source_digest() != expected.source:
        return f"{where} has another version of senet than the driver; install the same commit on all nodes."
    if different := [name for name, version in versions().items() if expected.versions[name] != version]:
        name = different[0]
        return f"{where} has {name} {versions()[name]}, the driver {expected.versions[name]}; install the same on all."
    return ""


def _examine_images(expected: Expected, job: Job, spec: DataSpec) -> str:
    where = f"node {ray.util.get_node_ip_address()}"
    try:
        found = loaded(spec, job.setup).fingerprint
    except SenetError as error:
        return f"{where}: {error}"
    if found != expected.images.get(spec, found):
        return f"{where} has other images of {spec.name} than the driver ({found}, {expected.images[spec]}); copy them."
    return ""


class Board:
    """Progress on its way to the driver, and the driver's wish to stop; an actor, so that it outlives tasks."""

    def __init__(self) -> None:
        self._news: dict[str, Progress] = {}
        self._begun: set[str] = set()
        self._stopping = False

    def tell(self, run: str, progress: Progress | None) -> bool:
        """Take the progress of a run and return whether it should stop."""
        self._begun.add(run)
        if progress is not None:
            self._news[run] = progress
        return self._stopping

    def take(self) -> list[Progress]:
        """Return the news since the last time, at most one a run."""
        news, self._news = list(self._news.values()), {}
        return news

    def stop(self) -> set[str]:
        """Let all runs save and leave; return those that have begun."""
        self._stopping = True
        return self._begun


def train(job: Job, run: Run, folder: Path, board: Any, expected: Expected) -> Outcome | Refused:
    """Train a run on this node, or go on with it.

    Args:
        job: how.
        run: what.
        folder: of the run, on the shared disk.
        board: the actor `Board`.
        expected: what this node must have.

    Returns:
        The result, or the error that ended it: Ray would try again what is raised.
    """
    with stoppable(), _in_touch(run, board) as news:
        reason = examine(expected) or _examine_images(expected, job, run.data)
        if reason:
            return Refused(ray.get_runtime_context().get_node_id(), reason)
        try:
            return job(run, folder, news.set)
        except Exception as error:
            if isinstance(error, SenetError) or not is_of_the_run(error):
                return error
            return RuntimeError("".join(traceback.format_exception(error)))  # its class need not be known to the driver


class _in_touch:  # noqa: N801 (used as a function)
    """Report to the board how a run goes, from a thread, and raise the flag of this process when the driver stops."""

    def __init__(self, run: Run, board: Any) -> None:
        self._run, self._board = run.id, board
        self._progress: Progress | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def __enter__(self) -> "_in_touch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PACE)

    def set(self, progress: Progress) -> None:
        """Remember how the run goes."""
        self._progress = progress

    def _talk(self) -> None:
        asked = False
        while not self._over.is_set():
            progress, self._progress = self._progress, None
            with suppress(RayError):  # the board may be on its way to another node
                if ray.get(self._board.tell.remote(self._run, progress), timeout=10 * PACE) and not asked:
                    asked = True
                    os.kill(os.getpid(), signal.SIGUSR1)
            self._over.wait(PACE)
