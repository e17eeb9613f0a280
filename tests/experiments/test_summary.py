"""From results to lines: values, paired differences and verdicts, and what is not there said as such."""

import math
import statistics
from dataclasses import replace

import pytest
from study_results import SHORT, result, results, study

from senet.errors import CheckpointError
from senet.experiments.seed_plan import SeedPlan
from senet.experiments.statistics import ALPHA, accuracy_differences
from senet.experiments.study import Row, Study
from senet.experiments.summary import PLANNED, Estimate, Line, metric, summarize, tallies
from senet.reports.study_notes import intervals_hold
from senet.spec import SESpec

# ---- estimates


def test_an_estimate_is_the_mean_and_the_sample_deviation() -> None:
    found = Estimate.of([72.0, 73.0, 75.0])
    assert found.mean == pytest.approx(220 / 3)
    assert found.sd == pytest.approx(statistics.stdev([72, 73, 75]))
    assert found.n == 3


def test_one_value_has_no_deviation_and_none_has_nothing() -> None:
    one, none = Estimate.of([72.0]), Estimate.of([])
    assert (one.mean, one.n) == (72.0, 1)
    assert math.isnan(one.sd)
    assert none.n == 0
    assert math.isnan(none.mean)
    assert math.isnan(none.sd)


def test_metrics_are_those_of_the_last_epoch() -> None:
    made = result(SHORT, 700)
    assert metric(made, "accuracy") == 70.0
    assert metric(made, "accuracy5") == 100.0
    assert metric(made, "loss") == 0.5
    assert metric(made, "top1_error") == 30.0
    assert metric(made, "top5_error") == 0.0
    assert made.best.correct == 999


# ---- lines


def test_a_number_of_seeds_that_was_planned_has_intervals_at_a_level_of_their_own() -> None:
    plan = SeedPlan(seeds=3, auto=False, most=20, detect=0.5, margin=None)
    mine = plan.applied(study((0, 1, 2, 3, 4)))
    assert (mine.pilot, mine.seeds) == (3, (0, 1, 2))
    correct = {"plain": {0: 700, 1: 710, 2: 720}, "se": {0: 710, 1: 730, 2: 725}, "bump": {0: 690, 1: 700, 2: 705}}
    planned, fixed = (summarize(one, results(one, correct)) for one in (mine, replace(mine, pilot=0)))
    for wide, narrow in zip(planned[1:], fixed[1:], strict=True):
        assert wide.difference is not None
        assert narrow.difference is not None
        assert (wide.difference.alpha, narrow.difference.alpha) == (PLANNED, ALPHA)
        assert wide.difference.half > 1.1 * narrow.difference.half
    assert "the spread of the first 3 seeds planned the number of seeds" in intervals_hold(mine, planned)


def test_lines_hold_values_and_paired_differences() -> None:
    mine = study((0, 1, 2))
    found = summarize(
        mine,
        results(mine, {"plain": {0: 700, 1: 710, 2: 720}, "se": {0: 710, 1: 730, 2: 725}, "bump": {0: 690, 1: 700}}),
    )
    assert [line.row.id for line in found] == ["plain", "se", "bump"]
    plain, se, bump = found
    assert plain.difference is None
    assert plain.values["accuracy"].mean == pytest.approx(71.0)
    expected = accuracy_differences([tallies(se.results), tallies(bump.results)], tallies(plain.results))
    assert [se.difference, bump.difference] == expected
    assert se.difference is not None
    assert se.difference.mean == pytest.approx(7 / 6)
    assert (plain.verdict, se.verdict is not None) == (None, True)
    assert bump.difference is not None
    assert bump.difference.n == 2
    assert bump.difference.mean == pytest.approx(-1.0)
    assert (plain.missing, se.missing, bump.missing) == ((), (), (2,))
    assert (plain.params, se.params, plain.macs) == (100, 110, 2_000_000)
    assert plain.seconds == 6.0


def test_a_row_without_results_is_a_line_that_says_so() -> None:
    mine = study((0, 1))
    found = summarize(mine, results(mine, {"plain": {0: 700}}))
    se = found[1]
    assert se.missing == (0, 1)
    assert (se.params, se.macs) == (None, None)
    assert math.isnan(se.seconds)
    assert se.values["accuracy"].n == 0
    assert se.difference is not None
    assert se.difference.n == 0


def test_without_the_baseline_nothing_is_compared() -> None:
    mine = study((0, 1))
    found = summarize(mine, results(mine, {"se": {0: 700, 1: 700}}))
    assert found[1].difference is not None
    assert found[1].difference.n == 0
    assert found[1].values["accuracy"].n == 2


def test_results_of_other_runs_are_left_out() -> None:
    mine = study((0,))
    strange = {run: result(run, 800) for run in (replace(SHORT, seed=9), replace(SHORT, model="cnn3"))}
    lines: list[Line] = summarize(mine, strange)
    assert all(not line.results for line in lines)


def test_results_of_different_images_are_not_compared() -> None:
    mine = study((0, 1))
    made = results(mine, {"plain": {0: 700, 1: 700}, "se": {0: 700, 1: 700}})
    last = next(run for run in made if run.se and run.seed)
    made[last] = replace(made[last], data="others")
    with pytest.raises(CheckpointError, match="used different images"):
        summarize(mine, made)


def test_rows_of_one_network_are_one_comparison_and_a_copy_of_the_baseline_is_none() -> None:
    mine = study((0, 1, 2))
    again = replace(mine.rows[1], id="again")
    copy = replace(mine.rows[0], id="copy")
    wide = replace(mine, rows=(*mine.rows[:2], again, copy))
    right = {"plain": {0: 700, 1: 710, 2: 720}, "se": {0: 710, 1: 730, 2: 725}}
    _, se, again_line, copy_line = summarize(wide, results(wide, right))
    assert se.difference is not None
    assert (se.difference.comparisons, se.difference) == (1, again_line.difference)
    assert copy_line.difference is None


def test_families_of_several_baselines_share_the_chance_of_a_wrong_interval() -> None:
    other, gated = replace(SHORT, model="cnn3"), replace(SHORT, model="cnn3", se=(SESpec(),))
    rows = (
        *study((0,)).rows[:2],
        Row(id="cnn", label="C", run=other),
        Row(id="gated", label="G", run=gated, versus="cnn"),
    )
    two = Study(name="s", title="t", rows=rows, seeds=(0, 1, 2))
    right = {name: {0: 700, 1: 710 + at, 2: 720 - at} for at, name in enumerate(("plain", "se", "cnn", "gated"))}
    lines = {line.row.id: line for line in summarize(two, results(two, right))}
    found = [lines[name].difference for name in ("se", "gated")]
    assert [d and (d.comparisons, d.share, d.alpha, d.corrected) for d in found] == [(1, 0.5, 0.025, True)] * 2
    assert lines["cnn"].difference is None


def test_two_networks_that_guess_get_no_verdict_whatever_their_difference() -> None:
    mine = study((0, 1, 2, 3))
    right: dict[str, dict[int, int]] = {
        "plain": {0: 490, 1: 501, 2: 495, 3: 503},
        "se": {0: 521, 1: 535, 2: 525, 3: 528},  # 532 of 1,000 come by chance; one is better by luck
    }
    verdict = summarize(mine, results(mine, right))[1].verdict
    assert str(verdict) == "undecided: the networks have not learned more than guessing"
    right["plain"] = dict.fromkeys(range(4), 900)  # then the design has failed to learn, which says something
    assert str(summarize(mine, results(mine, right))[1].verdict) == "does not pay off"
