"""A network that has learned nothing is told from one that has."""

import pytest

from senet.experiments.chance import most_by_chance, only_guesses
from senet.experiments.result import Epoch, Result
from senet.experiments.run import Run


def result(confusion: tuple[tuple[int, ...], ...]) -> Result:
    right = sum(row[label] for label, row in enumerate(confusion))
    epoch = {"epoch": 1, "lr": 0.1, "train_loss": 1.0, "test_loss": 1.0, "seconds": 1.0}
    return Result(
        run=Run(recipe=Run().recipe.__class__(epochs=1)),
        curve=(Epoch(**epoch, correct=right, correct5=sum(map(sum, confusion))),),
        classes=tuple(map(str, range(len(confusion)))),
        confusion=confusion,
        params=1,
        macs=1,
        train_images=1,
        train_seconds=1.0,
        data="0123",
    )


@pytest.mark.parametrize(
    ("confusion", "limit", "guesses"),
    [
        (((50, 0), (50, 0)), 60, True),  # one answer for all
        (((31, 19), (19, 31)), 60, False),
        (((30, 20), (20, 30)), 60, True),
        (((90, 0), (10, 0)), 96, True),  # the most frequent class, always
        (((89, 1), (1, 9)), 96, False),
        (((1, 0), (0, 1)), 1 + 2 * 0.5**0.5, True),  # two images prove nothing
    ],
)
def test_chance_is_that_of_the_most_frequent_class(
    confusion: tuple[tuple[int, ...], ...], limit: float, guesses: bool
) -> None:
    assert most_by_chance(result(confusion)) == pytest.approx(limit)
    assert only_guesses(result(confusion)) is guesses
