"""The Pareto front and the rank correlations: laws, and scipy as the oracle."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senet.experiments.rank_correlation import kendall, spearman
from senet.search.pareto import front
from senet.search.strategy import Score
from senet.spec import SESpec

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=12)


@given(points=POINTS)
def test_nothing_on_the_front_is_beaten_and_everything_else_is(points: list[tuple[int, int]]) -> None:
    scores = {(SESpec(reduction=r + 1),): Score(accuracy=a, params=p) for r, (a, p) in enumerate(points)}
    best = front(scores, ("accuracy", "params"))

    def beats(one: Score, other: Score) -> bool:
        no_worse = one.accuracy >= other.accuracy and one.params <= other.params
        return no_worse and (one.accuracy, one.params) != (other.accuracy, other.params)

    for design, score in scores.items():
        assert (design in best) == (not any(beats(other, score) for other in scores.values()))
    assert [scores[d].accuracy for d in best] == sorted((scores[d].accuracy for d in best), reverse=True)


VALUES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=15)


@given(pairs=VALUES)
def test_rank_correlations_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    from scipy import stats

    a, b = zip(*pairs, strict=True)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert math.isnan(spearman(a, b).value)
        assert math.isnan(kendall(a, b).value)
        return
    assert spearman(a, b).value == pytest.approx(stats.spearmanr(a, b).statistic)
    assert kendall(a, b).value == pytest.approx(stats.kendalltau(a, b).statistic)


def test_intervals_hold_the_value_and_shrink_with_the_number() -> None:
    few = spearman([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5])
    many = spearman(list(range(60)), [x + 5 * (-1) ** x for x in range(60)])
    assert few.low < few.value < few.high
    assert many.high - many.low < few.high - few.low
    assert math.isnan(spearman([1, 2, 3], [1, 3, 2]).low)
    assert "no interval" in str(spearman([1, 2, 3], [1, 3, 2]))
    assert str(kendall([1, 1, 1], [1, 3, 2])) == "undefined, one of the scores is constant, n = 3"
