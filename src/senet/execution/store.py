"""The store of results: a folder for each run, named by its id, and lists of results in a repository."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from senet.errors import CheckpointError
from senet.experiments.comparable import refuse_other_images
from senet.experiments.early_stopping import Pruned, Rule, read_pruned
from senet.experiments.failed_run import FAILED, Failed, read_failed
from senet.experiments.result import Result, decode_result
from senet.experiments.run import Run
from senet.files.atomic import storage_error, write_text
from senet.training.run_folder import RunFolder, read_result

__all__ = ["Store", "read_results", "write_results"]


class Store:
    """Results by run.

    Args:
        folder: holds a folder for each run.
        lists: further files of `write_results`, e.g. the committed results of a study.

    Raises:
        CheckpointError: if a line of a list is not a valid result.
    """

    def __init__(self, folder: Path, *, lists: Iterable[Path] = ()) -> None:
        self.root = folder
        self._listed: dict[str, Result] = {}
        for path in lists:
            if path.exists():
                self._listed |= read_results(path)

    def folder(self, run: Run) -> Path:
        """Return the folder of a run."""
        return self.root / run.id

    def get(self, run: Run) -> Result | None:
        """Read the result of a run; None if it is not finished.

        Raises:
            CheckpointError: if its file is not a valid result, or that of another run.
        """
        return RunFolder(self.folder(run), run).result() or self._listed.get(run.id)

    def ended(self, run: Run, rule: Rule | None = None) -> Result | Pruned | Failed | None:
        """Read the end of a run; None if it has not ended.

        Args:
            run: the run.
            rule: the rule by which it may have been stopped early; None ignores such an end.

        Raises:
            CheckpointError: if a file of its folder cannot be read.
        """
        if (result := self.get(run)) is not None:
            return result
        folder = self.folder(run)
        if rule and (pruned := read_pruned(folder)) is not None and pruned.rule == rule:
            return pruned
        return read_failed(folder)

    def forget_failure(self, run: Run) -> None:
        """Remove the record of a failure, so that the run is trained again.

        Raises:
            StorageError: if its record cannot be removed.
        """
        path = self.folder(run) / FAILED
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            pass
        except OSError as cause:
            raise storage_error(path, cause) from cause

    def all(self) -> list[Result]:
        """Read all results, in the order of their ids; invalid files are skipped."""
        found = dict(self._listed)
        for path in sorted(self.root.glob("*/result.json")):
            with suppress(CheckpointError):
                result = read_result(path.parent)
                found |= {result.run.id: result} if result is not None else {}
        return [found[name] for name in sorted(found)]


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write results as JSON lines, one each.

    Raises:
        CheckpointError: if they have different images.
        StorageError: if the file cannot be written.
    """
    results = list(results)
    refuse_other_images(results)
    write_text(path, "".join(json.dumps(result.as_dict(), allow_nan=False) + "\n" for result in results))


def read_results(path: Path) -> Mapping[str, Result]:
    """Read results by the id of their run.

    Raises:
        CheckpointError: if a line is not a result, or a run has two.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    results: dict[str, Result] = {}
    at: dict[str, int] = {}
    for number, line in enumerate(lines, 1) if lines != [""] else ():
        result = decode_result(line, place=f"{path}:{number}")
        run = result.run.id
        if run in results:
            raise CheckpointError(
                f"{path}:{number} is a second result of run {run}, as line {at[run]} is; remove one of them."
            )
        results[run], at[run] = result, number
    return results
