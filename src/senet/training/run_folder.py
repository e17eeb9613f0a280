"""The folder of a run: claim it, read and write its files.

Its files::

    run.json                the values of the run
    run.lock                the process that trains it
    metrics.jsonl           a line for each epoch
    checkpoints/            for resuming; removed at the end
    model.safetensors       the trained weights
    config.json, README.md  the network, as `save_pretrained` describes it
    pruned.json             why a search stopped the run early, if it did
    failed.json             why the run failed by itself, if it did
    result.json             the result; a folder that has it is finished
"""

import json
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from senet.errors import CheckpointError, StorageError
from senet.experiments import decoding
from senet.experiments.differences import changed_fields
from senet.experiments.early_stopping import FILE, Pruned
from senet.experiments.failed_run import FAILED, Failed, is_of_the_run, read_failed
from senet.experiments.result import Epoch, Result, decode_result, read_about_run
from senet.experiments.run import Run
from senet.files.atomic import append_line, ensure_writable, write_json, write_text
from senet.files.documents import parse_json, read_text
from senet.files.lock import RunLock
from senet.training.checkpoint import Checkpoints
from senet.weights.card import refuse_weights, write_description
from senet.weights.config import Config
from senet.weights.writing import write_weights

__all__ = ["RunFolder", "read_result", "read_run"]

STRAYS = (".tmp-*", "checkpoints/.tmp-*")
WAY_OUT = "choose another folder or remove this one."


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self.run = run
        self.checkpoints = Checkpoints(path / "checkpoints")
        self._lock = RunLock(path)

    def result(self) -> Result | None:
        """Read the result and remove files that a kill right after it has left; None if the run is not finished.

        Raises:
            CheckpointError: if it is not a result, or that of another run.
        """
        found = read_result(self.path)
        if found is None:
            return None
        self._refuse_another(found.run)
        if self.checkpoints.folder.exists() or any(self._strays()):
            # fails where another process does it, or this one has no permission
            with suppress(StorageError), nullcontext() if self._lock.held else RunLock(self.path):
                self._sweep()
                self.checkpoints.clear()
        return found

    @contextmanager
    def claimed(self, *, retry_failed: bool = True) -> Iterator[None]:
        """Claim the folder for this run: create it, check that it can be written, and hold its lock.

        An error of the run is recorded before the lock is released.

        Args:
            retry_failed: claim a run that is known to fail, and remove the record of that.

        Raises:
            CheckpointError: if it belongs to another run.
            RunFailed: if another process has found that the run fails.
            StorageError: if it cannot be written, another process trains there, or a link leads out of it.
        """
        ensure_writable(self.path)
        with self._lock:
            self._refuse_links()
            self._sweep()
            file = self.path / "run.json"
            if file.exists():
                self._refuse_another(read_run(file))
            else:
                refuse_weights(self.path)
                write_json(file, self.run.as_dict())
            list(self.path.iterdir())  # a network disk may have cached that there was no result
            if not retry_failed and (failed := read_failed(self.path)) is not None:
                raise failed.error
            (self.path / FAILED).unlink(missing_ok=True)
            try:
                yield
            except Exception as error:
                if is_of_the_run(error):
                    with suppress(StorageError):
                        write_json(self.path / FAILED, Failed.of(self.run, error).as_dict())
                raise

    def save(self, step: int, *, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write a checkpoint, see `Checkpoints.save`."""
        self._lock.check()
        self.checkpoints.save(step, weights=weights, state=state)

    def write_curve(self, curve: Sequence[Epoch]) -> None:
        """Replace the curve in the folder, which may be ahead of the checkpoint."""
        self._lock.check()
        write_text(self.path / "metrics.jsonl", "".join(_line(epoch) + "\n" for epoch in curve))

    def append(self, epoch: Epoch) -> None:
        """Add an epoch to the curve."""
        self._lock.check()
        append_line(self.path / "metrics.jsonl", _line(epoch))

    def finish(self, weights: Mapping[str, Tensor], result: Result, config: Config) -> None:
        """Write weights, description and then the result, which marks the run as finished; remove the checkpoints."""
        self._lock.check()
        write_weights(self.path / "model.safetensors", weights, metadata={"run": self.run.id})
        write_description(self.path, config, params=result.params, result=result, keep_others=True)
        write_json(self.path / "result.json", result.as_dict())
        for other_end in (FILE, FAILED):
            (self.path / other_end).unlink(missing_ok=True)
        self.checkpoints.clear()

    def prune(self, pruned: Pruned) -> None:
        """Record why the run is stopped early."""
        self._lock.check()
        write_json(self.path / FILE, pruned.as_dict())

    def _refuse_links(self) -> None:
        """Raise an error if an entry of the folder is a link or a pipe: writing to it would leave the folder."""
        for folder in (self.path, self.checkpoints.folder):
            for path in folder.iterdir() if folder.is_dir() else ():
                if stat.S_IFMT(path.lstat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
                    raise StorageError(
                        f"{path} is a link or a pipe, and a run folder holds plain files; remove it, or choose "
                        "another folder."
                    )

    def _strays(self) -> Iterator[Path]:
        """Return partial files that killed processes have left."""
        return (path for pattern in STRAYS for path in self.path.glob(pattern))

    def _sweep(self) -> None:
        for path in self._strays():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _refuse_another(self, before: Run) -> None:
        old, new = (json.loads(json.dumps(run.identity())) for run in (before, self.run))
        if old != new:
            changes = "; ".join(f"{place}: {was!r} -> {now!r}" for place, was, now in changed_fields(old, new))
            raise CheckpointError(f"{self.path} holds another run ({changes}); {WAY_OUT}")


def read_result(folder: Path) -> Result | None:
    """Read the result of a finished run; None if there is none yet.

    Raises:
        CheckpointError: if the file is not a valid result.
    """
    path = folder / "result.json"
    text = read_about_run(path)
    return None if text is None else decode_result(text, place=str(path))


def read_run(file: Path) -> Run:
    """Read the values of a run.

    Raises:
        CheckpointError: if the file is not a run of this version of senet.
    """
    try:
        return decoding.run(parse_json(read_text(file)), place=str(file))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{file} is not a run of this version of senet: {error} {WAY_OUT.capitalize()}") from None


def _line(epoch: Epoch) -> str:
    return json.dumps(epoch.as_dict(), allow_nan=False)
