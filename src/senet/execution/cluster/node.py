"""The functions that Ray runs on a node of the cluster: check the node, train one run, relay progress.

Ray restarts a task elsewhere when its process or node dies; the run then resumes from its last checkpoint.
"""

import hashlib
import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import ray
import torch
from ray.exceptions import RayError

import senet
from senet.errors import SenetError
from senet.execution.executors import RunOutcome, RunTrainer, load_cached
from senet.experiments.data_spec import DataSpec
from senet.experiments.run import Run
from senet.files.lock import holder
from senet.signals import stoppable
from senet.training.progress import Progress

__all__ = ["PROBE", "Expected", "ProgressActor", "Refused", "examine", "source_digest", "train"]

PROBE = "probe"
PACE = 0.5  # seconds between two messages to the actor


@dataclass(frozen=True)
class Expected:
    """Properties of the driver that a node must share.

    Attributes:
        folder: a folder beside those of the runs; the driver holds its lock.
        token: content of the file `PROBE` in it.
        source: digest of senet's own files.
        versions: versions of the libraries that determine the bits of a training.
        images: fingerprints of the driver's data sets.
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
        node: its ID in Ray.
        reason: a sentence with the address of the node.
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
    """Return the versions of the libraries that determine the bits of a training."""
    return {"torch": torch.__version__}


def examine(expected: Expected) -> str:
    """Return the reason why this node cannot train for the driver; empty if it can."""
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
            f"{where} does not see the driver's lock in {expected.folder.parent}; mount the shared disk with support "
            "for locks, so that no run is trained twice."
        )
    if source_digest() != expected.source:
        return f"{where} has another version of senet than the driver; install the same commit on all nodes."
    if different := [name for name, version in versions().items() if expected.versions[name] != version]:
        name = different[0]
        return f"{where} has {name} {versions()[name]}, the driver {expected.versions[name]}; install the same on all."
    return ""


def _examine_images(expected: Expected, trainer: RunTrainer, spec: DataSpec) -> str:
    where = f"node {ray.util.get_node_ip_address()}"
    try:
        found = load_cached(spec, trainer.setup).fingerprint
    except SenetError as error:
        return f"{where}: {error}"
    if found != expected.images.get(spec, found):
        return f"{where} has other images of {spec.name} than the driver ({found}, {expected.images[spec]}); copy them."
    return ""


class ProgressActor:
    """A Ray actor that relays progress from the tasks to the driver, and the request to stop back to them."""

    def __init__(self) -> None:
        self._news: dict[str, Progress] = {}
        self._begun: set[str] = set()
        self._stopping = False

    def report(self, run: str, progress: Progress | None) -> bool:
        """Store the progress of a run and return whether it should stop."""
        self._begun.add(run)
        if progress is not None:
            self._news[run] = progress
        return self._stopping

    def take(self) -> list[Progress]:
        """Return the progress reported since the last call, at most once for each run."""
        news, self._news = list(self._news.values()), {}
        return news

    def stop(self) -> set[str]:
        """Ask all runs to save and stop; return those that have begun."""
        self._stopping = True
        return self._begun


def train(trainer: RunTrainer, run: Run, folder: Path, actor: Any, expected: Expected) -> RunOutcome | Refused:
    """Train or resume a run on this node.

    Returns:
        The result, or the error that ended it: Ray would retry an error that is raised.
    """
    with stoppable(), _Reporter(run, actor) as reporter:
        reason = examine(expected) or _examine_images(expected, trainer, run.data)
        if reason:
            return Refused(ray.get_runtime_context().get_node_id(), reason)
        return trainer.outcome(run, folder, reporter.set)


class _Reporter:
    """Report progress to the actor from a thread, and set the stop flag of this process when the driver stops."""

    def __init__(self, run: Run, actor: Any) -> None:
        self._run, self._actor = run.id, actor
        self._progress: Progress | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PACE)

    def set(self, progress: Progress) -> None:
        """Store the progress for the next report."""
        self._progress = progress

    def _report(self) -> None:
        asked = False
        while not self._over.is_set():
            progress, self._progress = self._progress, None
            with suppress(RayError):  # the actor may be restarting on another node
                if ray.get(self._actor.report.remote(self._run, progress), timeout=10 * PACE) and not asked:
                    asked = True
                    os.kill(os.getpid(), signal.SIGUSR1)
            self._over.wait(PACE)
