"""Runs that failed by themselves: which errors count as such, and their records. No torch here.

An error is *of the run* if the same run would raise it at every attempt: it diverges, its values do not fit, its
checkpoint is damaged, a bug. The run is then recorded as failed, and others continue. Every other error is *of the
machine* (no data, no space, no memory, a killed process): it is not recorded, and the next command tries the run again.
"""

import os
import socket
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from senet.errors import CheckpointError, NumericError, SenetError, SpecError, UsageError, reason_of
from senet.experiments.result import decode_about_run, read_about_run
from senet.experiments.run import Run

__all__ = ["FAILED", "Failed", "RunFailed", "failures", "is_of_the_run", "read_failed"]

FAILED = "failed.json"


class RunFailed(SenetError):  # noqa: N818 (an event, as Interrupted and StoppedEarly)
    """A run that failed by itself, now or at an earlier start."""


OF_THE_RUN = (NumericError, SpecError, CheckpointError, UsageError, RunFailed)
OF_THE_MACHINE = (SenetError, OSError, MemoryError, ImportError)


def is_of_the_run(error: BaseException) -> bool:
    """Return whether the same run would raise this error again on any machine."""
    if isinstance(error, OF_THE_RUN):
        return True
    no_memory = type(error).__name__ == "OutOfMemoryError" or "allocate memory" in str(error)  # torch's, a RuntimeError
    return isinstance(error, Exception) and not isinstance(error, OF_THE_MACHINE) and not no_memory


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A run that failed by itself.

    Attributes:
        run: the run.
        reason: the error in one line.
        kind: class of the error.
        exit_code: exit code of a command that ends with it.
        when: local time.
        where: process and machine.
        traceback: traceback of a bug; empty for an error that users can resolve.
    """

    run: Run
    reason: str
    kind: str
    exit_code: int
    when: str
    where: str
    traceback: str = ""

    @classmethod
    def of(cls, run: Run, error: Exception) -> Self:
        """Return the record of an error that has just ended a run in this process."""
        mendable = isinstance(error, SenetError)
        return cls(
            run=run,
            reason=str(error) if mendable else f"unexpected {type(error).__name__}: {reason_of(error)}",
            kind=type(error).__name__,
            exit_code=error.exit_code if isinstance(error, SenetError) else 1,
            when=datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
            where=f"process {os.getpid()} on {socket.gethostname()}",
            traceback="" if mendable else "".join(traceback.format_exception(error)),
        )

    @property
    def error(self) -> RunFailed:
        """The error to raise for it."""
        error = RunFailed(self.reason)
        error.exit_code = self.exit_code
        return error

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them."""
        return {**asdict(self), "run": self.run.as_dict()}


def failures(failed: Sequence[Failed], of: int) -> RunFailed:
    """Return the error that ends a command of `of` runs, some of which failed by themselves."""
    first = failed[0]
    run = first.run
    error = RunFailed(
        f"{len(failed)} of {of} runs failed; the first is {run.model} {run.design} seed {run.seed}: {first.reason} "
        "To train them again, add retry_failed=true."
    )
    error.exit_code = first.exit_code
    return error


def read_failed(folder: Path) -> Failed | None:
    """Read why the run of a folder failed; None if it has not.

    Raises:
        CheckpointError: if the file is damaged.
    """
    path = folder / FAILED
    text = read_about_run(path)
    if text is None:
        return None
    return decode_about_run(Failed, text, place=str(path), what="record", way_out=" Remove it.")
