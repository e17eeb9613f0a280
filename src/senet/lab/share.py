"""A study that several workers train together: what `senet run STUDY --storage URL` does."""

import os
from pathlib import Path

from senet.console import Board
from senet.errors import SenetError, UsageError
from senet.lab.execute import Setup
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.store import Store
from senet.lab.study import Study

__all__ = ["share"]


def share(
    study: Study,
    runs: Path,
    setup: Setup,
    storage: str,
    *,
    quiet: bool,
    lists: tuple[Path, ...] = (),
    retry_failed: bool = False,
) -> tuple[dict[Run, Result], SenetError | None]:
    """Train a study with all other workers on a storage, until every run is complete or given up.

    Args:
        study: what is trained; the trials carry its name.
        runs: the folder of runs, the same for all workers.
        setup: device, processes, paths.
        storage: what `senet.lab.database.address` reads.
        quiet: show no progress.
        lists: files of results that are read too.
        retry_failed: let runs that were given up wait again.

    Returns:
        The results there are, and the error to end with if runs were given up.

    Raises:
        UsageError: if Optuna is missing, the storage is no address, or this is one of several processes of torchrun.
        SenetError: as `work` does.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError(
            "--storage gives each process a run of its own, torchrun gives all of them one; use one of both."
        )
    try:
        from senet.lab.shift import work
        from senet.lab.trials import Trials
    except ImportError as error:
        raise UsageError(f"--storage needs optuna ({error}); pip install 'senet[search]'.") from None
    wanted = study.runs()
    with Trials.open(storage, study.name, runs=runs) as trials, Board(len(wanted), quiet=quiet) as board:
        if retry_failed:
            trials.again(wanted)
        results: dict[Run, Result] = {}
        for result in work(wanted, Store(runs, lists=lists), trials, setup, watch=board.watch, say=board.note):
            results[result.run] = result
            board.finish(result)
        failed = trials.overview(wanted).failed
    if not failed:
        return results, None
    (run, first), *_ = failed.items()
    end = SenetError(
        f"{len(failed)} of {len(wanted)} runs were given up; the first is {run.model} {run.design} seed {run.seed}: "
        f"{first.line} To try them again, add --retry-failed."
    )
    end.exit_code = first.exit_code
    return results, end
