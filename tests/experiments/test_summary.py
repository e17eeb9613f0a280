"""From results to lines: paired differences and their intervals, and what is not there said as such."""

import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_results import SHORT, result, results, study

from senet.errors import CheckpointError
from senet.experiments.summary import Estimate, Line, Paired, metric, paired, summarize

VALUES = st.floats(0, 100, width=32)


# ---- paired intervals


def test_the_interval_is_the_one_computed_by_hand() -> None:
    # differences 0.5, 1.0, -0.5: mean 1/3, deviation sqrt(7/12), t(2 degrees of freedom) = 4.302653
    found = paired({0: 72.5, 1: 73.0, 2: 71.5}, {0: 72.0, 1: 72.0, 2: 72.0})
    half = 4.302653 * math.sqrt(7 / 12) / math.sqrt(3)
    assert found.n == 3
    assert found.mean == pytest.approx(1 / 3)
    assert found.low == pytest.approx(1 / 3 - half, rel=1e-6)
    assert found.high == pytest.approx(1 / 3 + half, rel=1e-6)
    assert found.low == pytest.approx(-1.563957, abs=1e-5)
    t = (1 / 3) / math.sqrt(7 / 12 / 3)
    assert found.p == pytest.approx(1 - t / math.sqrt(t * t + 2))  # Student's t with 2 degrees of freedom
    assert not found.decided


@pytest.mark.slow  # scipy.stats takes seconds to import
def test_the_interval_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    a = {0: 72.1, 1: 73.4, 2: 71.9, 3: 72.7, 4: 72.2}
    b = {0: 71.8, 1: 72.9, 2: 71.1, 3: 72.6, 4: 71.3}
    theirs = stats.ttest_rel([*a.values()], [*b.values()]).confidence_interval(0.95)
    ours = paired(a, b)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    differences = [a[seed] - b[seed] for seed in a]
    by_t = stats.t.interval(0.95, 4, loc=statistics.fmean(differences), scale=stats.sem(differences))
    assert (ours.low, ours.high) == pytest.approx(by_t, rel=1e-12)
    assert ours.p == pytest.approx(stats.ttest_rel([*a.values()], [*b.values()]).pvalue, rel=1e-9)
    assert ours.decided == (stats.ttest_rel([*a.values()], [*b.values()]).pvalue < 0.05)
    assert ours.decided


@given(a=st.dictionaries(st.integers(0, 9), VALUES), b=st.dictionaries(st.integers(0, 9), VALUES))
def test_only_seeds_that_both_have_are_compared(a: dict[int, float], b: dict[int, float]) -> None:
    common = a.keys() & b.keys()
    found = paired(a, b)
    assert found.n == len(common)
    if common:
        assert found.mean == pytest.approx(statistics.fmean(a[s] - b[s] for s in common))
    else:
        assert math.isnan(found.mean)
    if found.n >= 2:
        assert found == paired({seed: a[seed] for seed in sorted(common)}, {seed: b[seed] for seed in common})
        assert found.low <= found.mean <= found.high


@given(
    a=st.dictionaries(st.integers(0, 9), VALUES, min_size=2), b=st.dictionaries(st.integers(0, 9), VALUES, min_size=2)
)
def test_the_other_way_round_the_interval_is_mirrored(a: dict[int, float], b: dict[int, float]) -> None:
    one, other = paired(a, b), paired(b, a)
    if one.n >= 2:
        assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low), abs=1e-9)
        assert one.decided == other.decided or min(abs(one.low), abs(one.high)) < 1e-9


@pytest.mark.parametrize("b", [{0: 71.0}, {0: 71.0, 5: 70.0}])
def test_one_pair_has_a_difference_and_no_interval(b: dict[int, float]) -> None:
    found = paired({0: 72.0, 1: 73.0}, b)
    assert (found.n, found.mean) == (1, 1.0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert not found.decided


def test_equal_differences_leave_no_doubt_and_none_at_all_leaves_all() -> None:
    assert paired({0: 72.0, 1: 73.0}, {0: 71.0, 1: 72.0}).p == 0
    assert paired({0: 72.0, 1: 73.0}, {0: 72.0, 1: 73.0}).p == 1
    assert math.isnan(paired({0: 72.0}, {0: 71.0}).p)


def test_no_pair_has_nothing() -> None:
    found = paired({0: 72.0}, {1: 71.0})
    assert found.n == 0
    assert math.isnan(found.mean)
    assert not found.decided


@pytest.mark.parametrize(
    ("low", "high", "decided"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0.0, 0.2, False)]
)
def test_an_interval_decides_when_it_lies_on_one_side_of_zero(low: float, high: float, decided: bool) -> None:
    assert Paired(mean=0.0, low=low, high=high, n=2).decided is decided


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
    assert se.difference == paired({0: 71.0, 1: 73.0, 2: 72.5}, {0: 70.0, 1: 71.0, 2: 72.0})
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
    with pytest.raises(CheckpointError, match="saw different images"):
        summarize(mine, made)
