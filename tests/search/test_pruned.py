"""Designs that were stopped early: never ranked, always shown and counted."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from test_drive import SPACE, Laboratory, names, params

from senet.errors import SpecError
from senet.execution.store import Store
from senet.experiments import decoding
from senet.experiments.early_stopping import Pruned, Rule, Threshold, decode_pruned
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.reports.console import RunProgress
from senet.reports.search_report import findings_dict, write_report
from senet.reports.search_table import csv_text, notes, phases_in_words, table
from senet.search.driver import search
from senet.search.findings import Findings
from senet.search.outcome import SearchOutcome
from senet.search.space import Budget, read_space
from senet.search.strategies.exhaustive import grid
from senet.search.strategy import Design
from senet.search.trial_runner import TrialRunner
from senet.spec import design_name

EARLY = replace(SPACE, stop_early=Rule(rule="median"))


class Stopping(Laboratory):
    """An evaluator that stops some designs at the second of eight epochs, where they had nearly everything right."""

    def __init__(self, stopped: Sequence[Design], seed: int = 0) -> None:
        super().__init__()
        self.stopped, self.seed = stopped, seed

    def __call__(self, runs: Sequence[Run]) -> list[Result | Pruned]:  # type: ignore[override]
        self.asked += runs
        return [self.outcome(run) for run in runs]

    def outcome(self, run: Run) -> Result | Pruned:
        if run.se not in self.stopped or run.seed != self.seed:
            return self.result(run)
        curve = tuple(replace(line, correct=999, seconds=30) for line in self.result(run).curve[:2])
        threshold = Threshold(level=99.95, others=4)
        return Pruned(run=run, rule=EARLY.stop_early, threshold=threshold, curve=curve, total=1000, data="d")


BAD = EARLY.design((4, 4))


def found(**changes: object) -> tuple[SearchOutcome, Stopping]:
    lab = Stopping([BAD])
    space = replace(EARLY, **changes)  # type: ignore[arg-type]
    return search(space, grid(space), lab, name="grid", count=params), lab


def test_what_is_stopped_is_kept_and_never_ranked() -> None:
    outcome, lab = found()
    assert names(list(outcome.trials)) == ["plain", "2-2", "2-4", "4-2"]
    (stopped,) = outcome.pruned
    assert (stopped.design, stopped.phase, stopped.params, stopped.pruned.epoch) == (BAD, "grid", params(BAD), 2)
    assert BAD not in outcome.scores
    assert outcome.chosen == EARLY.design((2, 2))  # although the other had 99.9 % when it was stopped
    assert outcome.seconds == 8 * 30 + 2 * 30
    assert [(phase.new, phase.pruned) for phase in outcome.phases] == [(1, 0), (4, 1)]
    assert len(lab.asked) == len(set(lab.asked))


def test_a_stopped_design_is_not_begun_with_the_next_seed() -> None:
    _, lab = found()
    assert [run.seed for run in lab.asked if run.se == BAD] == [0]
    assert [run.seed for run in lab.asked] == [0, 1] + [0] * 4 + [1] * 3
    late = Stopping([BAD], seed=1)
    outcome = search(EARLY, grid(EARLY), late, name="grid", count=params)
    assert list(outcome.pruned[0].results) == [0]
    assert BAD not in outcome.trials


def test_a_stopped_design_counts_for_the_budget() -> None:
    lab = Stopping([EARLY.design((2, 2))])
    space = replace(EARLY, budget=Budget(trials=3))
    outcome = search(space, grid(space), lab, name="grid", count=params)
    assert names(list(outcome.trials)) == ["plain", "2-4"]
    assert names([stopped.design for stopped in outcome.pruned]) == ["2-2"]
    assert outcome.ended == "the budget of 3 trials is spent"


def test_optuna_is_told_and_asks_no_more_for_it() -> None:
    pytest.importorskip("optuna")
    from senet.search.strategies.samplers import tpe

    lab = Stopping([BAD])
    outcome = search(EARLY, tpe(EARLY), lab, name="tpe", count=params)
    assert len(lab.asked) == len(set(lab.asked))
    assert BAD in {stopped.design for stopped in outcome.pruned}


def test_a_report_shows_it_last_with_epoch_and_value(tmp_path: Path) -> None:
    outcome, _ = found()
    last = table(outcome, {}).rows[-1]
    assert last == [design_name(BAD), "grid", params(BAD), "pruned at epoch 2 of 8: 99.90 < 99.95", "-", ""]
    (row,) = [row for row in csv.DictReader(io.StringIO(csv_text(outcome, {}))) if row["pruned_epoch"]]
    assert (row["design"], row["accuracy"], row["pruned_epoch"], row["pruned_accuracy"]) == (
        design_name(BAD),
        "",
        "2",
        "99.9",
    )
    said = " ".join(notes(outcome, {}))
    assert "pruned: 1 of 5 designs" in said
    assert "they had 2 of their 8 epochs, whose 1.0 minutes are in the cost; they have no rank" in said
    assert "4 new, 1 of them pruned, best standard r=2-2" in phases_in_words(outcome)[1]
    write_report(Findings(outcome=outcome), tmp_path, command="senet search")
    assert "8 trainings and 1 that were pruned" in (tmp_path / "report.md").read_text()
    (line,) = (tmp_path / "pruned.jsonl").read_text().splitlines()
    assert decode_pruned(line, place="pruned.jsonl") == outcome.pruned[0].pruned
    (pruned,) = findings_dict(Findings(outcome=outcome))["pruned"]
    assert (pruned["epoch"], pruned["epochs"], pruned["to_reach"], pruned["rule"]) == (2, 8, 99.95, "median")


def test_a_run_is_judged_by_those_that_the_search_asked_for_before_it(tmp_path: Path) -> None:
    with RunProgress(0, quiet=True) as progress:
        trial_runner = TrialRunner(store=Store(tmp_path), setup=Setup(), display=progress, rule=EARLY.stop_early)
        first, second = EARLY.design((2, 2)), EARLY.design((4, 2))
        trial_runner.pruner([EARLY.run((), 0), EARLY.run(first, 0), EARLY.run(first, 1)])
        pruner = trial_runner.pruner([EARLY.run(first, 0), EARLY.run(second, 0)])
    assert pruner.order == {0: (EARLY.run(first, 0).id, EARLY.run(second, 0).id), 1: (EARLY.run(first, 1).id,)}
    assert pruner.root == tmp_path


# ---- where it is asked for


def test_nothing_stops_early_unless_asked(tmp_path: Path) -> None:
    assert not SPACE.stop_early
    text = "[base]\ndata = { val_size = 100 }\n[choices]\nreduction = [[2, 4]]\n"
    (tmp_path / "a.toml").write_text('stop_early = "median"\n' + text)
    assert read_space(tmp_path / "a.toml").stop_early == Rule(rule="median")
    assert not read_space(tmp_path / "a.toml", changes={"stop_early": "off"}).stop_early
    changed = read_space(tmp_path / "a.toml", changes=decoding.assign(["stop_early.warmup=3", "budget.trials=7"]))
    assert (changed.stop_early, changed.budget.trials) == (Rule(rule="median", warmup=3), 7)
    for name in ("medium", "halving"):
        with pytest.raises(SpecError, match=rf"stop_early\.rule = '{name}' is not known; choose one of: median, off"):
            read_space(tmp_path / "a.toml", changes={"stop_early": {"rule": name}})
    (tmp_path / "a.toml").write_text(text + "[stop_early]\nrule = 'median'\nstartup = 3\nwarmup = 2\n")
    assert read_space(tmp_path / "a.toml").stop_early == Rule(rule="median", startup=3, warmup=2)
    (tmp_path / "a.toml").write_text(text.replace("100", "0") + "[stop_early]\nrule = 'median'\n")
    with pytest.raises(SpecError, match="would choose by the test set; hold out training images"):
        read_space(tmp_path / "a.toml")
