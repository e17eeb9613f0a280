"""Write and read the checkpoints of a run; a kill, a full disk or a flipped bit costs at most the newest one.

A checkpoint is one file, `step-00000123.pt` (`packing.py`). It is written to a temporary file, synced to the disk and
renamed; only then are older ones removed. `latest` returns what `save` received, bit for bit.
"""

import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from senet.errors import CheckpointError, SpecError, reason_of
from senet.files.atomic import failpoint, storage_error, write_bytes
from senet.files.documents import read_bytes
from senet.training.packing import pack, unpack

__all__ = ["FAILPOINTS", "Checkpoint", "CheckpointWarning", "Checkpoints", "read_checkpoint", "restoring"]

FORMAT = 2

# In the order in which a save reaches them. Tests kill a process at each.
FAILPOINTS = (
    "before_save",
    "mid_write",
    "before_replace",
    "after_replace",
    "before_prune",
    "mid_prune",
    "after_prune",
)

_NAME = re.compile(r"step-(\d{8,})\.pt")


class CheckpointWarning(UserWarning):
    """A checkpoint was skipped, or could not be removed."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a checkpoint, on the CPU.

    Attributes:
        step: optimizer steps done [1].
        weights: tensors by name.
        state: everything else.
        path: its file.
    """

    step: int
    weights: dict[str, Tensor]
    state: dict[str, Any]
    path: Path


class Checkpoints:
    """The checkpoints of one run; one process writes (`RunLock`), any number may read.

    Args:
        folder: holds them; created by the first save, in a folder that exists.
        keep: number of checkpoints to keep, at least 1; with 1 a flipped bit loses the run.

    Raises:
        SpecError: if `keep` is less than 1.
    """

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        if keep < 1:
            raise SpecError(f"keep = {keep} would leave no checkpoint; use 1 or more.")
        self.folder = folder
        self.keep = keep

    def save(self, step: int, *, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
        """Write a checkpoint and sync it to the disk.

        Strides, and memory that tensors share, are kept. Checkpoints of later steps are removed, because they are
        damaged or belong to a training that was restarted.

        Args:
            step: optimizer steps done [1]; a checkpoint of the same step is replaced.
            weights: tensors by name.
            state: nested dicts, lists, tuples, numbers, strings, booleans, None and tensors.

        Raises:
            SpecError: if `step` is negative, or `state` holds other types, which could not be read again.
            StorageError: if the file cannot be written; earlier checkpoints are intact and no partial file remains.
        """
        if step < 0:
            raise SpecError(f"step = {step} is negative; count the optimizer steps from 0.")
        content = {"weights": {name: tensor.detach() for name, tensor in weights.items()}, "state": dict(state)}
        packed = pack({"format": FORMAT, "step": step, "torch": str(torch.__version__), **content})
        failpoint("before_save")
        path = self.folder / f"step-{step:08d}.pt"
        try:
            self.folder.mkdir(exist_ok=True)  # not its parents: a run folder that was removed is not created again
        except OSError as cause:
            raise storage_error(path, cause) from cause
        write_bytes(path, packed)
        failpoint("before_prune")
        self._prune(step)
        failpoint("after_prune")
        return path

    def latest(self) -> Checkpoint | None:
        """Read the newest checkpoint that is not damaged; a damaged one is skipped with a `CheckpointWarning`.

        Returns:
            None if there is no checkpoint.

        Raises:
            CheckpointError: if all checkpoints are damaged.
        """
        damaged: dict[Path, str] = {}
        while True:
            path = next((path for _, path in self._found() if path not in damaged), None)
            if path is None:
                break
            try:
                return read_checkpoint(path)
            except (CheckpointError, OSError) as error:
                if path.exists():  # otherwise the run has removed it: search again
                    damaged[path] = str(error)
                    warnings.warn(f"{error} It is skipped.", CheckpointWarning, stacklevel=2)
        if damaged:
            raise CheckpointError(
                f"{self.folder}: none of {len(damaged)} checkpoints is readable; "
                f"remove the folder to start again. The newest: {next(iter(damaged.values()))}"
            )
        return None

    def clear(self) -> None:
        """Remove the folder with all checkpoints and the partial files of killed processes.

        Raises:
            StorageError: if it cannot be removed.
        """
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            return
        except OSError as cause:
            raise storage_error(self.folder, cause) from cause

    def _prune(self, step: int) -> None:
        kept = [path for at, path in self._found() if at <= step][: self.keep]
        for path in [path for _, path in self._found() if path not in kept]:
            try:
                path.unlink()
            except OSError as error:
                warnings.warn(f"{path} could not be removed: {error}.", CheckpointWarning, stacklevel=3)
            failpoint("mid_prune")

    def _found(self) -> list[tuple[int, Path]]:
        """Return steps and paths of the checkpoints, newest first."""
        found: list[tuple[int, Path]] = []
        with suppress(FileNotFoundError, NotADirectoryError):
            names = [path.name for path in self.folder.iterdir()]
            found = [(int(match[1]), self.folder / name) for name in names if (match := _NAME.fullmatch(name))]
        return sorted(found, reverse=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        CheckpointError: if it is damaged, of another format, or not the file of its step.
    """
    try:
        found = unpack(read_bytes(path))
        if found["format"] == FORMAT and path.name == f"step-{found['step']:08d}.pt":
            return Checkpoint(step=found["step"], weights=dict(found["weights"]), state=dict(found["state"]), path=path)
        what = f"format {found['format']} and step {found['step']}"
    except Exception as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else reason_of(error)
        raise CheckpointError(
            f"{path} is damaged, or of another version of torch than {torch.__version__}: {reason}."
        ) from error
    raise CheckpointError(f"{path} holds {what}; this senet reads format {FORMAT}, in a file named by its step.")


@contextmanager
def restoring(found: Checkpoint, owner: str, *, way_out: str) -> Iterator[None]:
    """Turn the errors of values that do not fit into one that names the checkpoint.

    Raises:
        CheckpointError: if the block raises such an error.
    """
    try:
        yield
    except (CheckpointError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else reason_of(error, whole=True)
        raise CheckpointError(f"{found.path} does not fit {owner} ({reason}); {way_out}") from error
