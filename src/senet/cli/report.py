"""`senet report`: print a study from the results that exist."""

from pathlib import Path
from typing import TYPE_CHECKING

from senet.cli.option_groups import unfolded
from senet.cli.options import Json, Output, Quick, Runs, Study, Words
from senet.cli.run_settings import asked_study, report_folder
from senet.cli.seeds import Repeats, carry_out
from senet.cli.study_output import finish, folder_for_report
from senet.text import command_line

if TYPE_CHECKING:
    from senet.experiments.failed_run import Failed
    from senet.experiments.result import Result
    from senet.experiments.run import Run
    from senet.experiments.study import Study as Values

__all__ = ["report"]


@unfolded
def report(
    study_file: Study,
    words: Words = None,
    quick: Quick = False,
    *,
    repeats: Repeats,
    runs: Runs = Path("runs"),
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Print a study from the results that exist, beside the numbers of the paper; missing results are shown as such."""
    from senet.execution.cost_store import known_costs
    from senet.execution.status import runs_in
    from senet.execution.store import Store
    from senet.experiments.data_spec import EMBEDDED
    from senet.experiments.summary import summarize

    plan = repeats.plan()
    study = asked_study(study_file, words, quick=quick)
    folder = report_folder(study_file, study)
    store = Store(runs, lists=(folder / "results.jsonl",))

    def read(study: "Values", known: "dict[Run, Result]") -> "tuple[dict[Run, Result], list[Failed]]":
        wanted = [run for run in study.runs() if run not in known]
        return {**known, **{run: found for run in wanted if (found := store.get(run)) is not None}}, []

    study, results, _ = carry_out(plan, plan.applied(study), read, quiet=True)
    costs = known_costs(study, folder) or known_costs(study, runs)
    folder_of_data = " --data-dir DIR" if any(run.data.name not in EMBEDDED for run in study.runs()) else ""
    changed = [*(words or []), *["--quick"] * quick, *repeats.words()]
    made = command_line(["run", str(study_file), *changed]) + folder_of_data
    if results:
        belongs = set(study.runs()).__contains__
        own = output is not None or not (words or plan.changes)
        folder = folder_for_report(output or folder, belongs, chosen=own)
    others = 0 if results else len(runs_in(runs))
    lines = summarize(study, results, costs=costs)
    finish(study, lines, output or folder, as_json=as_json, command=made, others=others)
