"""Paired timing: order, medians, spread."""

import time

import pytest

from senet.speed.interleave import Timing, interleave


def test_candidates_run_in_turns_after_a_warm_up() -> None:
    order: list[str] = []
    found = interleave({name: lambda name=name: order.append(name) for name in "ab"}, rounds=3, warmup=1)
    assert "".join(order) == "ab" + "ababab"
    assert [len(timing.seconds) for timing in found.values()] == [3, 3]


def test_the_ratio_is_the_median_of_the_rounds_and_the_spread_their_quartiles() -> None:
    base, mine = Timing((1.0, 2.0, 4.0)), Timing((2.0, 2.0, 4.0))
    assert mine.ratio(base) == 1.0
    assert mine.spread(base) == (1.0, 1.5)
    assert base.ratio(base) == 1


@pytest.mark.parametrize(
    ("base", "mine"),
    [
        ((1.0, 9.0, 9.0), (2.0, 9.0, 1.0)),  # the ratio of the medians, 2 / 9, would lie outside of the quartiles
        ((1.0, 1.0, 5.0, 5.0), (5.0, 5.0, 5.0, 5.0)),
        ((3.0, 1.0, 2.0, 8.0, 4.0), (1.0, 8.0, 2.0, 1.0, 9.0)),
        ((2.0,), (5.0,)),
    ],
)
def test_a_ratio_never_lies_outside_of_its_quartiles(base: tuple[float, ...], mine: tuple[float, ...]) -> None:
    low, high = Timing(mine).spread(Timing(base))
    assert low <= Timing(mine).ratio(Timing(base)) <= high


def test_a_slower_candidate_is_slower_and_sleep_does_not_count() -> None:
    found = interleave(
        {
            "busy": lambda: sum(range(200_000)),
            "busier": lambda: sum(range(800_000)),
            "asleep": lambda: time.sleep(0.05),
        },
        rounds=5,
    )
    assert found["busier"].ratio(found["busy"]) > 2
    assert found["asleep"].median < 0.03


def test_a_watcher_hears_every_round() -> None:
    heard: list[int] = []
    interleave({"a": lambda: None}, rounds=3, watch=heard.append)
    assert heard == [1, 2, 3]


@pytest.mark.parametrize("seconds", [(1.0,), (1.0, 1.0)])
def test_few_rounds_have_a_spread_too(seconds: tuple[float, ...]) -> None:
    assert Timing(seconds).spread(Timing(seconds)) == (1.0, 1.0)
