"""`senet runs`: list the runs of a folder with their sizes, link them by readable names, or remove them."""

import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from senet.cli.completion import one_of
from senet.cli.options import Json, MaybeStudy, Quick, Runs, Words
from senet.cli.printing import print_json
from senet.cli.run_settings import asked_study
from senet.errors import UsageError, unknown
from senet.text import file_name, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from senet.execution.status import Status
    from senet.experiments.run import Run

__all__ = ["runs"]

NAMES = "names"
"""Folder of the links, in the folder of runs."""

CLEARED = {
    "failed": ("failed",),
    "unfinished": ("failed", "waiting"),
    "all": ("failed", "waiting", "done", "stopped early"),
}
"""States of the runs that `--clear` removes; a run in training is never removed."""


def runs(
    study_file: MaybeStudy = None,
    words: Words = None,
    quick: Quick = False,
    folder: Runs = Path("runs"),
    clear: Annotated[
        str | None,
        typer.Option(
            "--clear", metavar="STATE", autocompletion=one_of(*CLEARED),
            help="Remove runs: failed, unfinished (failed ones, too), or all.",
        ),
    ] = None,
    names: Annotated[
        bool, typer.Option("--names", help="Write links with readable names to the folder RUNS/names.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them without a question.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """List the runs of a folder with their sizes, or remove some of them. `senet status` shows more of each.

    Example: `senet runs --names`

    Example: `senet runs --runs runs --clear failed`
    """
    from senet.execution.status import runs_in, status
    from senet.execution.store import Store
    from senet.reports.console import say_written, show
    from senet.tables import Table

    if clear is not None and clear not in CLEARED:
        raise unknown("--clear", clear, CLEARED, error=UsageError)
    wanted = None if study_file is None else {run.id for run in asked_study(study_file, words, quick=quick).runs()}
    found = status([run for run in runs_in(folder) if wanted is None or run.id in wanted], Store(folder))
    if clear is not None:
        found = [one for one in found if one.state in CLEARED[clear]]
    sizes = {one.run.id: _size(folder / one.run.id) for one in found}
    rows = [[*_names(one), f"{sizes[one.run.id]:.1f}"] for one in found]
    if rows and not as_json:
        heads = ("run", "network", "design", "seed", "data", "state", "MiB")
        show(Table(heads, rows, words=("network", "design", "state")))
    total = f"{len(found)} runs, {sum(sizes.values()):.1f} MiB, in {folder}"
    removed: list[str] = []
    if clear is not None and found:
        if not yes and not sys.stdin.isatty():
            raise UsageError(f"--clear {clear} would remove {total}; add --yes, as there is no terminal to ask on.")
        if yes or typer.confirm(one_line(f"remove {total}?"), err=True):
            removed = [one.run.id for one in found if _remove(folder / one.run.id)]
    if names:
        _link(folder, [one.run for one in found if one.run.id not in removed])
    if as_json:
        listed = [{**one.as_dict(), "mib": sizes[one.run.id], "removed": one.run.id in removed} for one in found]
        print_json({"runs": listed})
    else:
        if names:
            say_written([folder / NAMES])
        print(one_line(f"removed {len(removed)} of {total}" if clear is not None else total))


def _link(folder: Path, runs: "Sequence[Run]") -> None:
    """Write a link to each run, named after what it is, in place of those that there are."""
    from senet.files.atomic import storage_error

    links = folder / NAMES
    try:
        links.mkdir(parents=True, exist_ok=True)
        for old in links.iterdir():
            if old.is_symlink():
                old.unlink()
        for run in runs:
            name = file_name(f"{run.data.title}-{run.model}-{run.design}-seed{run.seed}-{run.id}")
            (links / name).symlink_to(Path("..") / run.id, target_is_directory=True)
    except OSError as cause:
        raise storage_error(links, cause) from cause


def _names(one: "Status") -> list[str]:
    run = one.run
    return [run.id, run.model, run.design, str(run.seed), run.data.title, one.state]


def _size(folder: Path) -> float:
    """Return the size of the files in a folder [MiB]."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 2**20


def _remove(folder: Path) -> bool:
    """Remove the folder of a run unless it is in use, and return whether it was removed."""
    from senet.files.atomic import storage_error
    from senet.files.lock import InUse, RunLock

    gone = folder.with_name(f".removed-{folder.name}")
    try:
        with RunLock(folder):
            (folder / "result.json").unlink(missing_ok=True)  # first: what a kill leaves must not look like a result
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)
        shutil.rmtree(gone)
        for link in (folder.parent / NAMES).glob(f"*-{folder.name}"):
            link.unlink()
            with suppress(OSError):  # there are more
                link.parent.rmdir()
    except InUse:
        return False
    except OSError as cause:
        raise storage_error(folder, cause) from cause
    return True
