"""The four verdicts, and what would tell where there is none."""

import math

import pytest

from senet.experiments.image_spread import Images
from senet.experiments.seed_spread import Spread
from senet.experiments.statistics import Difference
from senet.experiments.verdict import MOST_SEEDS, images_needed, seeds_needed, verdict


def difference(mean: float, sd: float, n: int = 5, images: Images | None = None) -> Difference:
    return Difference(mean=mean, n=n, spread=Spread(variance=sd**2, df=n - 1, common=True), images=images)


@pytest.mark.parametrize(
    ("mean", "sd", "word"),
    [
        (2.0, 0.2, "pays off"),
        (-2.0, 0.2, "does not pay off"),
        (0.1, 0.2, "equal within the margin"),
        (-0.3, 0.05, "equal within the margin"),  # worse for sure, by less than what matters
        (0.6, 0.05, "pays off"),
        (0.4, 1.0, "undecided"),
        (0.0, 5.0, "undecided"),
    ],
)
def test_a_verdict_is_where_the_interval_lies(mean: float, sd: float, word: str) -> None:
    found = verdict(difference(mean, sd), 0.5)
    assert found.word == word
    assert found.decided == (word != "undecided")


def test_the_margin_decides_what_is_equal() -> None:
    assert verdict(difference(0.3, 0.2), 0.2).word == "pays off"
    assert verdict(difference(0.3, 0.2), 1.0).word == "equal within the margin"
    assert verdict(difference(0.1, 0.2), 0.2).word == "undecided"


def test_more_seeds_that_would_tell_do_tell_if_mean_and_spread_stay() -> None:
    for mean, sd in ((0.4, 0.6), (0.1, 0.9), (1.5, 2.5)):
        first = difference(mean, sd)
        found = verdict(first, 0.5)
        assert found.more_seeds is not None
        assert found.more_seeds > 0
        assert str(found) == f"undecided: about {found.more_seeds} more seeds would decide it"
        assert verdict(first.after(first.n + found.more_seeds), 0.5).decided


def test_images_that_seeds_cannot_replace_are_asked_for() -> None:
    few = Images(added=0.3, floor=0.35, lasting=0.3, total=500, seeds=5, paired=True)
    found = verdict(difference(0.1, 0.4, images=few), 0.5)
    assert found.more_seeds is None
    assert found.images is not None
    assert found.images > 1500
    assert "more seeds cannot decide this" in str(found)
    assert images_needed(difference(0.1, 0.4, images=few), 5.0) is None
    enough = Images(added=0.3 / 20, floor=0.35 / 20, lasting=0.3 / 20, total=10_000, seeds=5, paired=True)
    assert verdict(difference(0.1, 0.4, images=enough), 0.5).images is None


def test_a_number_of_seeds_beyond_all_is_not_planned() -> None:
    assert seeds_needed(difference(0.0, 100.0), 0.01) is None
    assert (
        str(verdict(difference(0.0, 100.0), 0.1)) == f"undecided: more than {MOST_SEEDS:,} more seeds would decide it"
    )


@pytest.mark.parametrize(("n", "why"), [(0, "no seed has results for both"), (1, "one pair")])
def test_without_an_interval_the_verdict_says_why(n: int, why: str) -> None:
    found = Difference(mean=math.nan if not n else 1.0, n=n, spread=Spread(variance=0.0, df=0, common=True))
    assert why in str(verdict(found, 0.5))
    assert "guessing" in str(verdict(found, 0.5, guesses=True))


def test_equal_plain_numbers_leave_it_open() -> None:
    assert "no spread" in str(verdict(difference(1.0, 0.0), 0.5))
