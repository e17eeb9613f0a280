"""The baseline of equal time: how long it is trained, and what is compared with it."""

from dataclasses import replace

import pytest
from study_results import results, study

from senet.experiments.environment import Environment
from senet.experiments.equal_time import lengthened, with_equal_time
from senet.experiments.measured_cost import Conditions, MeasuredCosts, NetworkCost, Ratio, TreatedCost, network_key
from senet.experiments.recipe import Recipe, Schedule
from senet.experiments.study import Study
from senet.experiments.summary import summarize
from senet.reports.study_cost import cost_table
from senet.reports.study_table import cells, columns


def treated(step: float) -> TreatedCost:
    ratio = Ratio(median=step, low=step, high=step)
    return TreatedCost(step_ms=1, step=ratio, latency_ms=1, latency=ratio, saved_mb=1, saved=1)


def costs(study: Study, steps: tuple[float, ...]) -> MeasuredCosts:
    """Make a measurement: of the ordinary networks these ratios, of the optimized ones half of what is above 1."""
    return MeasuredCosts(
        conditions=Conditions(
            environment=Environment(),
            processor="",
            batch=1,
            shape=(1, 8, 8),
            step_rounds=1,
            latency_rounds=1,
            latency_repeats=1,
        ),
        networks=tuple(
            NetworkCost(network=network_key(row.run), ordinary=treated(step), optimized=treated(1 + (step - 1) / 2))
            for row, step in zip(study.rows, steps, strict=True)
        ),
    )


def of_epochs(epochs: int) -> Study:
    made = study((0, 1, 2))
    rows = [replace(row, run=replace(row.run, recipe=Recipe(epochs=epochs))) for row in made.rows]
    return replace(made, rows=tuple(rows))


@pytest.mark.parametrize(("fused", "epochs"), [(False, 28), (True, 24)])
def test_the_longest_step_decides_the_epochs(fused: bool, epochs: int) -> None:
    plain = of_epochs(20)
    longer = with_equal_time(plain, costs(plain, (1.0, 1.4, 1.2)), fused=fused)
    assert [row.label for row in longer.rows] == ["Plain", "Plain, equal time", "SE", "Bump"]
    assert longer.rows[1].run == replace(plain.rows[0].run, recipe=Recipe(epochs=epochs))
    assert f"{epochs} epochs instead of 20, as a step of SE, the slowest design, takes" in longer.notes[0]
    assert [longer.reference(row) for row in longer.rows] == [None, None, *["plain equal time"] * 2]


def test_designs_are_compared_with_the_row_of_equal_time_seed_by_seed() -> None:
    plain = of_epochs(2)
    longer = with_equal_time(plain, costs(plain, (1.0, 2.0, 1.0)), fused=False)
    base, equal, gated, _ = longer.rows
    correct = {base.id: (700, 701, 702), equal.id: (720, 724, 722), gated.id: (721, 724, 726)}
    made = results(longer, {name: dict(enumerate(right)) for name, right in correct.items()})
    lines = summarize(longer, made)
    assert lines[2].difference is not None
    assert lines[2].difference.mean == pytest.approx((0.1 + 0.0 + 0.4) / 3)
    at = columns(longer).index("difference [95 % interval]")
    assert [row[at] for row in cells(longer, lines)][:2] == ["-", "baseline"]


def test_blocks_that_cost_less_than_half_an_epoch_add_no_row() -> None:
    plain = of_epochs(10)
    same = with_equal_time(plain, costs(plain, (1.0, 1.04, 0.9)), fused=False)
    assert same.rows == plain.rows
    assert "less than half an epoch of 10" in same.notes[0]


def test_a_schedule_is_stretched_with_the_epochs() -> None:
    steps = Recipe(epochs=10, schedule=Schedule(name="steps", steps=((5, 0.1), (8, 0.01))))
    assert lengthened(steps, 1.2).schedule.steps == ((6.0, 0.1), (9.6, 0.01))
    falling = Recipe(epochs=10, schedule=Schedule(name="exponential", gamma=0.8))
    longer = lengthened(falling, 2.0)
    assert longer.schedule.gamma**20 == pytest.approx(0.8**10)
    assert lengthened(steps, 0.7) == steps


@pytest.mark.parametrize(("saved", "shown"), [(1.25, "1.25"), (2480.45, "12.5 MB")])
def test_memory_is_told_in_bytes_where_the_baseline_keeps_next_to_none(saved: float, shown: str) -> None:
    made = of_epochs(2)
    measured = costs(made, (1.0, 1.0, 1.0))
    gated = replace(measured.networks[1], ordinary=replace(treated(1.0), saved=saved, saved_mb=12.5))
    measured = replace(measured, networks=(measured.networks[0], gated, measured.networks[2]))
    table = cost_table(summarize(made, {}, costs=measured))
    assert table is not None
    assert [row[-1] for row in table.rows if row[:2] == ["SE", "ordinary"]] == [shown]
