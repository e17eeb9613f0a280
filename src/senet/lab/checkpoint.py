"""Checkpoints of a run: a kill, a full disk or a flipped bit costs at most the newest one.

A checkpoint is a folder with three files::

    step-00000123/model.safetensors     the weights
                  state.pt              everything else that a resume needs; read with `weights_only=True`
                  manifest.json         format, step, size and SHA-256 of the others, SHA-256 of itself

It is built in a hidden folder beside the others, each file is forced to the disk, and one rename makes it
visible; only then are older ones removed. Neither torch nor safetensors notices most flipped bits, hence the
hashes: what `latest` returns is what `save` was given, bit for bit.

Hidden names: `.tmp-*` is being built, `.del-*` is being removed, `.old-step-*` makes room for a newer checkpoint
of the same step. What a killed process left of them is put right by the next one; `.lock` keeps a reader from
taking a live save for a dead one.
"""

import fcntl
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from senet.errors import CheckpointError, SpecError
from senet.files.atomic import failpoint, storage_error, sync_folder, write_synced

__all__ = ["FAILPOINTS", "Checkpoint", "CheckpointWarning", "Checkpoints"]

FORMAT = 1
WEIGHTS, STATE, MANIFEST = "model.safetensors", "state.pt", "manifest.json"

# In the order in which a save reaches them; `mid_write` three times. Tests kill a process at each.
FAILPOINTS = (
    "before_save",
    "folder_made",
    "mid_write",
    "model_written",
    "state_written",
    "manifest_written",
    "before_rename",
    "mid_rename",  # only when there is a checkpoint of this step already
    "after_rename",
    "before_prune",
    "mid_prune",
    "after_prune",
)

_NAME = re.compile(r"step-(\d{8,})")
_LEAVES = (bool, int, float, str, type(None), Tensor, torch.nn.Parameter)


class CheckpointWarning(UserWarning):
    """A checkpoint was passed over, or could not be removed."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint as it was saved, on the CPU.

    Attributes:
        step: optimizer steps done [1].
        weights: tensors by name, contiguous.
        state: everything else, with the memory formats it was saved with.
        path: its folder.
    """

    step: int
    weights: dict[str, Tensor]
    state: dict[str, Any]
    path: Path


class Checkpoints:
    """The checkpoints of one run; one process writes (`RunLock`), any number may read.

    Args:
        folder: where they live; made by the first save.
        keep: how many remain, at least 1; with 1 a flipped bit leaves nothing to go back to.

    Raises:
        SpecError: if `keep` is less than 1.
    """

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        if keep < 1:
            raise SpecError(f"keep = {keep} would leave no checkpoint; give 1 or more.")
        self.folder = folder
        self.keep = keep
        with self._alone(wait=False) as alone:
            if alone:
                self._recover()

    def save(self, step: int, *, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
        """Write a checkpoint; when this returns it is on the disk.

        Weights are stored contiguous, one by one: tensors that share memory come back as separate ones with equal
        values, channels_last ones as contiguous ones. `load_state_dict` copies values, so a network keeps its own
        sharing and memory format. `state` keeps strides and sharing.

        Checkpoints of later steps are removed: they were damaged, or belong to a run that was given up.

        Args:
            step: optimizer steps done [1]; a checkpoint of the same step is replaced.
            weights: tensors by name.
            state: dicts, lists, tuples, numbers, strings, booleans, None and tensors, nested as you like.

        Returns:
            The folder of the new checkpoint.

        Raises:
            SpecError: if `step` is negative, or `state` holds something else: it could never be read again.
            StorageError: if the disk refuses; the earlier checkpoints are whole and nothing is left behind.
        """
        if step < 0:
            raise SpecError(f"step = {step} is negative; count the optimizer steps from 0.")
        _check_plain("state", state)
        failpoint("before_save")
        payloads: dict[str, bytes | memoryview] = {
            WEIGHTS: _serialize(weights),
            STATE: _pack(dict(state)),
        }
        payloads[MANIFEST] = _manifest(step, payloads)
        path = self.folder / f"step-{step:08d}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._alone(wait=True):
                self._recover()
                self._write(path, payloads)
                self._prune(step)
        except OSError as cause:
            raise storage_error(path, cause, needed=sum(len(data) for data in payloads.values())) from cause
        return path

    def latest(self) -> Checkpoint | None:
        """Read the newest checkpoint that is whole.

        A damaged one is passed over with a `CheckpointWarning` that names it.

        Returns:
            None when there is no checkpoint at all.

        Raises:
            CheckpointError: if there are checkpoints, and none is whole.
        """
        damaged: dict[Path, str] = {}
        while True:
            path = next((path for _, path in self._found() if path not in damaged), None)
            if path is None:
                break
            try:
                return _read(path)
            except (CheckpointError, OSError) as error:
                if path.exists():  # otherwise the run removed it meanwhile: look again
                    damaged[path] = str(error)
                    warnings.warn(f"{error} It is passed over.", CheckpointWarning, stacklevel=2)
        if damaged:
            raise CheckpointError(
                f"{self.folder}: none of {len(damaged)} checkpoints is whole; "
                f"remove the folder to start again. The newest: {next(iter(damaged.values()))}"
            )
        return None

    def clear(self) -> None:
        """Remove every checkpoint and whatever killed processes left.

        Raises:
            StorageError: if the disk refuses.
        """
        if not self.folder.exists():
            return
        try:
            with self._alone(wait=True):
                self._recover()
                for _, path in self._found():
                    self._remove(path)
        except OSError as cause:
            raise storage_error(self.folder, cause) from cause

    def _write(self, path: Path, payloads: Mapping[str, bytes | memoryview]) -> None:
        stray = self.folder / f".tmp-{secrets.token_hex(8)}"
        try:
            stray.mkdir()
            failpoint("folder_made")
            for name, data in payloads.items():
                write_synced(stray / name, data)
                failpoint(f"{name.split('.')[0]}_written")
            sync_folder(stray)
            failpoint("before_rename")
            with self._room_for(path):
                stray.rename(path)
            failpoint("after_rename")
            sync_folder(self.folder)
        except BaseException:
            shutil.rmtree(stray, ignore_errors=True)
            raise

    @contextmanager
    def _room_for(self, path: Path) -> Iterator[None]:
        """Move a checkpoint of the same step aside: no folder can be renamed onto one that has files."""
        if not path.exists():
            yield
            return
        old = path.with_name(f".old-{path.name}")
        try:
            path.rename(old)
            failpoint("mid_rename")
            yield
        except BaseException:
            with suppress(OSError):  # refused when it has not left its place
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def _prune(self, step: int) -> None:
        failpoint("before_prune")
        kept = [path for at, path in self._found() if at <= step][: self.keep]
        for _, path in self._found():
            if path not in kept:
                try:
                    self._remove(path)
                except OSError as error:
                    warnings.warn(f"{path} could not be removed: {error}.", CheckpointWarning, stacklevel=3)
        failpoint("after_prune")

    def _remove(self, path: Path) -> None:
        doomed = self.folder / f".del-{secrets.token_hex(8)}"
        path.rename(doomed)  # first out of sight: half a checkpoint never carries a checkpoint's name
        failpoint("mid_prune")
        shutil.rmtree(doomed)

    def _found(self) -> list[tuple[int, Path]]:
        """Give steps and folders of the checkpoints, newest first."""
        steps = [(int(match[1]), self.folder / name) for name in self._names() if (match := _NAME.fullmatch(name))]
        return sorted(steps, reverse=True)

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _recover(self) -> None:
        """Put right what killed processes left."""
        for name in self._names():
            path = self.folder / name
            if name.startswith(".old-"):
                with suppress(OSError):  # refused when the newer one is in its place
                    path.rename(self.folder / name.removeprefix(".old-"))
            if name.startswith((".tmp-", ".del-", ".old-")):
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _alone(self, *, wait: bool) -> Iterator[bool]:
        """Hold the folder's lock; without `wait` say whether it could be had, and make nothing."""
        try:
            lock = os.open(self.folder / ".lock", os.O_RDWR | (os.O_CREAT if wait else 0), 0o666)
        except OSError:
            if wait:
                raise
            yield False
            return
        try:
            alone = True
            try:
                fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # someone is saving, or this disk knows no locks: then only the writer acts
                alone = wait
            yield alone
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_UN)  # a forked worker may hold a copy of the handle
        finally:
            os.close(lock)


def _serialize(weights: Mapping[str, Tensor]) -> bytes:
    """Give the weights as a safetensors file, copying first only what is not contiguous or shares its memory."""
    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in weights.items():
        if tensor.layout != torch.strided or tensor.is_meta:
            raise SpecError(
                f"weights[{name!r}] is {tensor.layout} on {tensor.device}; give a dense tensor with values."
            )
        ready = tensor.detach().cpu().contiguous()
        storage = ready.untyped_storage().data_ptr()
        separate[name] = ready.clone() if storage in seen else ready
        seen.add(storage)
    return safetensors.torch.save(separate)


def _pack(state: dict[str, Any]) -> memoryview:
    buffer = io.BytesIO()  # torch.save to a path says nothing of a full disk, and leaves half a file
    torch.save(state, buffer)
    return buffer.getbuffer()


def _check_plain(place: str, value: Any) -> None:
    """Refuse what `torch.load(weights_only=True)` would refuse to read."""
    if type(value) in (dict, OrderedDict):
        for key, inner in value.items():
            _check_plain(f"{place} key {key!r}", key)
            _check_plain(f"{place}.{key}", inner)
    elif type(value) in (list, tuple):
        for index, inner in enumerate(value):
            _check_plain(f"{place}[{index}]", inner)
    elif type(value) not in _LEAVES:
        raise SpecError(
            f"{place} is of type {type(value).__qualname__}; a state holds dict, list, tuple, int, float, str, bool, "
            "None and Tensor. Convert it first."
        )


def _manifest(step: int, payloads: Mapping[str, bytes | memoryview]) -> bytes:
    files = {name: {"bytes": len(data), "sha256": _digest(data)} for name, data in payloads.items()}
    return _seal({"format": FORMAT, "step": step, "torch": torch.__version__, "files": files})


def _seal(manifest: dict[str, Any]) -> bytes:
    """Give the only spelling of a manifest, with the digest of the rest as its last entry."""
    digest = _digest(json.dumps(manifest).encode())
    return (json.dumps({**manifest, "sha256": digest}, indent=1) + "\n").encode()


def _digest(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> Checkpoint:
    """Read a checkpoint, each byte of it checked before it is understood."""
    manifest = _read_manifest(path)
    weights, state = (_read_checked(path / name, manifest["files"][name]) for name in (WEIGHTS, STATE))
    try:
        return Checkpoint(
            step=manifest["step"],
            weights=safetensors.torch.load(weights),
            state=torch.load(io.BytesIO(state), map_location="cpu", weights_only=True),
            path=path,
        )
    except Exception as error:
        raise CheckpointError(
            f"{path} is whole, but written by torch {manifest['torch']} and not understood by {torch.__version__}: "
            f"{error}."
        ) from error


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        raw = file.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"{file} is missing.") from error
    try:
        manifest = json.loads(raw)
        del manifest["sha256"]
        whole = _seal(manifest) == raw and f"step-{manifest['step']:08d}" == path.name
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise CheckpointError(f"{file} is damaged: it does not agree with its own SHA-256.")
    if manifest["format"] != FORMAT:
        raise CheckpointError(f"{path} has format {manifest['format']}, this senet reads {FORMAT}; use a newer senet.")
    return dict(manifest)


def _read_checked(file: Path, expected: Mapping[str, Any]) -> bytes:
    try:
        size = file.stat().st_size
        if size != expected["bytes"]:
            raise CheckpointError(f"{file} is damaged: {size:,} bytes, the manifest says {expected['bytes']:,}.")
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"{file} is missing.") from error
    if _digest(data) != expected["sha256"]:
        raise CheckpointError(f"{file} is damaged: its SHA-256 is not that of the manifest.")
    return data
