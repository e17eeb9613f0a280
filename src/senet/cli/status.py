"""`senet status`: the state of every run."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from senet.cli.options import Json, MaybeStudy, Quick, Runs, Words
from senet.cli.printing import print_json
from senet.cli.run_settings import asked_study, report_folder
from senet.text import one_line

if TYPE_CHECKING:
    from senet.execution.status import Status

__all__ = ["status"]

HEADS = ("run", "design", "seed", "state", "epoch", "top-1 [%]", "left [s]", "where")


def status(
    study_file: MaybeStudy = None,
    words: Words = None,
    quick: Quick = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Show which runs are done, running, waiting or failed, also while they are trained.

    Runs of `compare` and `search` are listed by their folder: `senet status --runs DIR`.
    """
    from senet.execution.status import STATES, runs_in
    from senet.execution.status import status as look
    from senet.execution.store import Store
    from senet.reports.console import show
    from senet.tables import Table

    if study_file is None:
        found = look(runs_in(runs), Store(runs))
    else:
        study = asked_study(study_file, words, quick=quick)
        store = Store(runs, lists=(report_folder(study_file, study) / "results.jsonl",))
        found = look(study.runs(), store)
    counted = Counter(one.state for one in found)
    counts = {state: counted[state] for state in STATES}
    if as_json:
        print_json({"counts": counts, "runs": [one.as_dict() for one in found]})
        return
    for setting in dict.fromkeys(map(_setting, found)):
        rows = [_row(one) for one in found if _setting(one) == setting]
        table = Table(HEADS, rows, words=("design", "state", "where"), spare=("left [s]", "where"))
        show(table, title=setting)
    for one in found:
        if one.why:
            print(one_line(f"- {one.run.id}: {one.why}"))
    parts = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    print(one_line(f"{len(found)} runs: {parts}" if found else f"no runs in {runs}"))


def _setting(one: "Status") -> str:
    """Return what all designs and seeds of a study share: network, data, recipe."""
    run = one.run
    return f"{run.model} on {run.data.title}: {run.recipe.in_words}"


def _row(one: "Status") -> list[str]:
    run = one.run
    return [
        run.id,
        run.design,
        str(run.seed),
        one.state,
        f"{one.epoch}/{run.recipe.epochs}",
        "" if one.accuracy is None else f"{one.accuracy:.2f}",
        "" if one.left is None else f"{one.left:.0f}",
        one.where.partition(" since ")[0],
    ]
