"""Kendall's tau-b between the paper's order and ours: by hand, by scipy, and what it says where there is little."""

import math
import random
from dataclasses import replace

import pytest
from study_results import SHORT, results

from senet.experiments.agreement import Agreement, agreement
from senet.experiments.study import Row, Study
from senet.experiments.summary import summarize
from senet.reports.study_notes import footnotes
from senet.spec import SESpec


def study(*, seeds: tuple[int, ...] = (0, 1, 2, 3, 4), metric: str = "accuracy", last: Row | None = None) -> Study:
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


SEEDS = tuple(range(5))
SAME = {
    name: {seed: right + (2 * seed) % 5 for seed in SEEDS}
    for name, right in (("r0", 700), ("r1", 710), ("r2", 750), ("r3", 730))
}


@pytest.mark.parametrize("metric", ["accuracy", "top1_error"])
def test_equal_orders_agree_at_every_seed(metric: str) -> None:
    found = agreed(study(metric=metric), SAME)
    assert (found.metric, found.rows, found.seeds) == (metric, 4, 5)
    assert (found.tau, found.low, found.high) == (1, 1, 1)


def test_the_interval_holds_what_our_seeds_leave_open() -> None:
    wide = {**SAME, "r3": {0: 690, 1: 731, 2: 800, 3: 690, 4: 740}}
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


@pytest.mark.parametrize(("seeds", "said"), [(1, "one seed"), (2, "2 seeds"), (4, "4 seeds")])
def test_below_five_seeds_there_is_no_interval(seeds: int, said: str) -> None:
    few = {name: {seed: by_seed[seed] for seed in range(seeds)} for name, by_seed in SAME.items()}
    mine = study(seeds=tuple(range(seeds)))
    found = agreed(mine, few)
    assert found.tau == 1
    assert math.isnan(found.low)
    notes = "\n".join(footnotes(mine, summarize(mine, results(mine, few))))
    assert f"+1.00 over 4 rows; {said}: no interval, which needs 5" in notes


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
