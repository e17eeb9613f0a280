"""Kendall's tau-b between the paper's order and ours: by hand, by scipy, and what it says where there is little."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_results import SHORT, results

from senet.experiments.agreement import Agreement, agreement, kendall
from senet.experiments.study import Row, Study
from senet.experiments.summary import summarize
from senet.reports.study_table import footnotes
from senet.spec import SESpec

VALUES = st.lists(st.integers(0, 5), min_size=2, max_size=9)


def study(*, seeds: tuple[int, ...] = (0, 1, 2), metric: str = "accuracy", last: Row | None = None) -> Study:
    numbers = (90.0, 91.0, 92.0, 91.5)
    if metric == "top1_error":
        numbers = tuple(100 - number for number in numbers)  # type: ignore[assignment]
    runs = (SHORT, *(replace(SHORT, se=(SESpec(reduction=r),)) for r in (2, 4, 8)))
    rows = [
        Row(id=f"r{i}", label=f"R{i}", run=run, paper=((metric, number),))
        for i, (run, number) in enumerate(zip(runs, numbers, strict=True))
    ]
    return Study(name="s", title="t", rows=(*rows, *([last] if last else [])), seeds=seeds)


def agreed(mine: Study, correct: dict[str, dict[int, int]]) -> Agreement:
    found = agreement(mine, summarize(mine, results(mine, correct)))
    assert found is not None
    return found


SAME = {"r0": {0: 700, 1: 702, 2: 701}, "r1": {0: 710, 1: 712, 2: 714}, "r2": {0: 750, 1: 752, 2: 751},
        "r3": {0: 730, 1: 731, 2: 735}}  # fmt: skip


def test_tau_is_the_one_computed_by_hand() -> None:
    # of 6 pairs 5 agree and 1 does not
    assert kendall([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(4 / 6)
    # one tie in b: 5 pairs agree, sqrt(6 * 5)
    assert kendall([1, 2, 3, 4], [1, 2, 2, 4]) == pytest.approx(5 / math.sqrt(30))


@pytest.mark.parametrize(("a", "b"), [([1], [1]), ([1, 1], [1, 2]), ([], [])])
def test_without_two_different_values_there_is_no_tau(a: list[float], b: list[float]) -> None:
    assert math.isnan(kendall(a, b))


@given(VALUES, st.randoms(use_true_random=False))
def test_tau_is_symmetric_bounded_and_changes_sign_with_the_order(a: list[int], draw: random.Random) -> None:
    b = draw.sample(a, len(a))
    tau = kendall(a, b)
    if math.isnan(tau):
        assert len(set(a)) == 1
        return
    assert -1 <= tau <= 1 + 1e-12
    assert tau == pytest.approx(kendall(b, a))
    assert tau == pytest.approx(-kendall(a, [-value for value in b]))
    assert kendall(a, a) == pytest.approx(1)


@pytest.mark.slow  # scipy.stats takes seconds to import
def test_tau_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    draw = random.Random(1)
    for _ in range(50):
        a, b = ([draw.randint(0, 6) for _ in range(8)] for _ in range(2))
        assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b, variant="b").statistic, nan_ok=True)


@pytest.mark.parametrize("metric", ["accuracy", "top1_error"])
def test_equal_orders_agree_at_every_seed(metric: str) -> None:
    found = agreed(study(metric=metric), SAME)
    assert (found.metric, found.rows, found.seeds) == (metric, 4, 3)
    assert (found.tau, found.low, found.high) == (1, 1, 1)


def test_the_interval_holds_what_our_seeds_leave_open() -> None:
    wide = {**SAME, "r3": {0: 690, 1: 731, 2: 800}}
    found = agreed(study(), wide)
    assert found.low < found.tau <= found.high
    assert "Kendall's tau-b: +" in "\n".join(footnotes(study(), summarize(study(), results(study(), wide))))


def test_rows_of_one_network_count_once_and_quoted_rows_not_at_all() -> None:
    again = Row(id="again", label="A", run=SHORT, paper=(("accuracy", 99.0),), quoted=True)
    assert agreed(study(last=again), SAME).rows == 4
    twice = Row(id="again", label="A", run=replace(SHORT, se=(SESpec(reduction=8),)), paper=(("accuracy", 91.5),))
    assert agreed(study(last=twice), SAME).rows == 4


def test_below_three_rows_the_footnote_says_so() -> None:
    few = {name: SAME[name] for name in ("r0", "r1")}
    assert math.isnan(agreed(study(), few).tau)
    assert "n/a with 2 rows" in "\n".join(footnotes(study(), summarize(study(), results(study(), few))))


def test_one_seed_has_no_interval() -> None:
    one = {name: {0: by_seed[0]} for name, by_seed in SAME.items()}
    mine = study(seeds=(0,))
    assert math.isnan(agreed(mine, one).low)
    assert "+1.00 over 4 rows; one seed: no interval" in "\n".join(footnotes(mine, summarize(mine, results(mine, one))))


def test_many_seeds_are_drawn_and_equal_draws_give_equal_intervals() -> None:
    seeds = tuple(range(8))
    draw = random.Random(3)
    many = {name: {seed: 700 + draw.randint(0, 40) for seed in seeds} for name in SAME}
    first, second = agreed(study(seeds=seeds), many), agreed(study(seeds=seeds), many)
    assert first == second
    assert first.low <= first.tau <= first.high


def test_a_study_without_numbers_of_a_paper_has_no_agreement() -> None:
    rows = tuple(Row(id=str(r), label=str(r), run=replace(SHORT, se=(SESpec(reduction=r),))) for r in (2, 4, 8))
    mine = Study(name="s", title="t", rows=rows)
    assert agreement(mine, summarize(mine, {})) is None
