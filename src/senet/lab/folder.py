"""The folder of a run: the files in it, and that they are of this run and no other.

Its files::

    run.json                the values of the run
    run.lock                who trains here
    metrics.jsonl           a line for each epoch
    checkpoints/            what a resume needs; empty at the end
    model.safetensors       the trained weights
    pruned.json             why a search stopped the run before its end, if it did
    result.json             the outcome; a folder that has it is finished
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from senet import decode
from senet.errors import CheckpointError
from senet.files.atomic import append_line, ensure_writable, write_bytes, write_json, write_text
from senet.files.lock import RunLock
from senet.lab.early import FILE, Pruned
from senet.lab.result import Epoch, Result, decode_result, read_about_run
from senet.lab.run import Run

__all__ = ["RunFolder", "read_result"]

WAY_OUT = "choose another folder or remove this one."


class RunFolder:
    """The folder of one run.

    Args:
        path: of this run alone.
        run: what is trained in it.
    """

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self.run = run

    def result(self) -> Result | None:
        """Read the result; None if the run is not finished.

        Raises:
            CheckpointError: if it is no result, or that of another run.
        """
        found = read_result(self.path)
        if found is not None:
            self._refuse_another(found.run)
        return found

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder for this run: make it, prove that it can be written, keep others out.

        Raises:
            CheckpointError: if it belongs to another run.
            StorageError: if it cannot be written, or another process trains there.
        """
        ensure_writable(self.path)
        with RunLock(self.path):
            file = self.path / "run.json"
            if file.exists():
                self._refuse_another(_read_run(file))
            else:
                write_json(file, self.run.as_dict())
            yield

    def write_curve(self, curve: Sequence[Epoch]) -> None:
        """Put the curve so far in the place of what is there: it may be ahead of the checkpoint."""
        write_text(self.path / "metrics.jsonl", "".join(_line(epoch) + "\n" for epoch in curve))

    def append(self, epoch: Epoch) -> None:
        """Add an epoch to the curve."""
        append_line(self.path / "metrics.jsonl", _line(epoch))

    def finish(self, weights: Mapping[str, Tensor], result: Result) -> None:
        """Write the weights and then the result, which makes the run finished."""
        ready = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        write_bytes(self.path / "model.safetensors", save(ready, metadata={"run": self.run.id}))
        write_json(self.path / "result.json", result.as_dict())
        (self.path / FILE).unlink(missing_ok=True)

    def prune(self, pruned: Pruned) -> None:
        """Write why the run is stopped before its end."""
        write_json(self.path / FILE, pruned.as_dict())

    def _refuse_another(self, before: Run) -> None:
        old, new = (json.loads(json.dumps(run.as_dict())) for run in (before, self.run))
        if old != new:
            changes = "; ".join(f"{place}: {was!r} -> {now!r}" for place, was, now in _differences(old, new))
            raise CheckpointError(f"{self.path} holds another run ({changes}); {WAY_OUT}")


def read_result(folder: Path) -> Result | None:
    """Read the result of a finished run; None if there is none yet.

    Raises:
        CheckpointError: if the file is no result.
    """
    path = folder / "result.json"
    text = read_about_run(path)
    return None if text is None else decode_result(text, place=str(path))


def _read_run(file: Path) -> Run:
    try:
        return decode.run(json.loads(file.read_text(encoding="utf-8")), place=str(file))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{file} is no run of this version of senet: {error} {WAY_OUT.capitalize()}") from None


def _line(epoch: Epoch) -> str:
    return json.dumps(asdict(epoch), allow_nan=False)


def _differences(before: Any, now: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (was, becomes) in enumerate(zip(before, now, strict=True)):
            yield from _differences(was, becomes, f"{place}[{number}]")
    elif before != now:
        yield place, before, now
