"""Measured costs: which ratio is of what, under a clock of the test's own; memory against the count of `senet.cost`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import senet
from senet.data.loading import load
from senet.errors import CheckpointError, SpecError, UsageError
from senet.execution.cost_store import costs_if_possible, known_costs, measured_costs
from senet.experiments.data_spec import DataSpec
from senet.experiments.measured_cost import MeasuredCosts, Ratio, network_key, read_costs
from senet.experiments.recipe import RECIPES
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.experiments.study import Row, Study
from senet.spec import SESpec
from senet.speed.interleave import Timing
from senet.training.cost_measurement import measure_costs

PLAIN = Run(model="resnet8", data=DataSpec(name="digits", train_size=80, test_size=20), recipe=RECIPES["digits"])
GATED = replace(PLAIN, se=(SESpec(),))
TIMES = {  # seconds of three rounds, by network and treatment: of a step, and of an inference
    "ordinary": ((1.0, 2.0, 4.0), (1.5, 2.0, 8.0)),
    "optimized": ((1.0, 1.0, 1.0), (1.1, 1.3, 1.2)),
}


class Clock:
    """Runs every candidate once and returns the times of `TIMES`, for inferences a thousandth of them."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, candidates: Mapping[str, Callable[[], object]], **_: object) -> dict[str, Timing]:
        scale = 1e-3 if self.calls else 1.0
        self.calls.append(list(candidates))
        found = {}
        for at, (name, run) in enumerate(candidates.items()):
            run()
            times = TIMES[name.split()[1]][at // 2]
            found[name] = Timing(tuple(scale * one for one in times))
        return found


@pytest.fixture(scope="module")
def measured() -> MeasuredCosts:
    clock = Clock()
    found = measure_costs([PLAIN, replace(PLAIN, seed=3), GATED], load(PLAIN.data), time=clock)
    names = [f"{network_key(run)} {treatment}" for run in (PLAIN, GATED) for treatment in ("ordinary", "optimized")]
    assert clock.calls == [names, names], "equal networks are measured once, all in turns"
    return found


def test_ratios_are_to_the_baseline_with_the_same_treatment_round_by_round(measured: MeasuredCosts) -> None:
    plain, gated = measured.of(PLAIN), measured.of(replace(GATED, seed=9))
    assert plain is not None
    assert gated is not None
    one = Ratio(median=1.0, low=1.0, high=1.0)
    assert (plain.ordinary.step, plain.optimized.latency, plain.ordinary.saved) == (one, one, 1.0)
    assert gated.ordinary.step == Ratio(median=1.5, low=1.25, high=1.75)
    assert gated.optimized.latency.median == pytest.approx(1.2)
    each = measured.conditions.latency_repeats
    assert (plain.ordinary.step_ms, each * gated.ordinary.latency_ms) == (2000.0, pytest.approx(2.0))


def test_conditions_name_batch_shape_rounds_and_one_thread(measured: MeasuredCosts) -> None:
    how = measured.conditions
    assert (how.batch, how.shape, how.step_rounds, how.latency_rounds) == (64, (1, 8, 8), 3, 3)
    assert how.environment.threads == 1
    assert how.processor
    assert 1 <= how.latency_repeats <= 20


def test_saved_memory_is_what_the_count_of_the_network_says(measured: MeasuredCosts) -> None:
    for run in (PLAIN, GATED):
        found = measured.of(run)
        assert found is not None
        model = senet.create_model("resnet8", se=run.se or None, num_classes=10, in_chans=1)
        counted = 64 * senet.cost(model, shape=(1, 1, 8, 8)).activation_bytes
        assert 1e6 * found.ordinary.saved_mb == pytest.approx(counted, rel=0.01)
    assert found.optimized.saved < found.ordinary.saved


def test_a_measurement_leaves_the_random_numbers_and_the_threads_alone() -> None:
    torch.manual_seed(1)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    measure_costs([PLAIN], load(PLAIN.data), time=Clock())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def study(*runs: Run) -> Study:
    rows = tuple(Row(id=run.design, label=run.design, run=run) for run in runs)
    return Study(name="s", title="t", rows=rows)


def test_costs_are_measured_once_and_again_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: MeasuredCosts
) -> None:
    said: list[str] = []
    monkeypatch.setattr("senet.training.cost_measurement.measure_costs", lambda *_, **__: measured)
    words = {"folder": tmp_path / "runs", "setup": Setup(), "say": said.append}
    assert measured_costs(study(PLAIN, GATED), **words) == measured
    assert measured_costs(study(PLAIN, GATED), **words) == measured
    assert len(said) == 1
    longer = replace(PLAIN.recipe, epochs=99)
    assert known_costs(study(replace(PLAIN, recipe=longer), replace(GATED, seed=4)), tmp_path / "runs") == measured
    assert known_costs(study(GATED, PLAIN), tmp_path / "runs") is None, "ratios to another baseline"
    assert known_costs(study(PLAIN, replace(PLAIN, se=(SESpec(reduction=4),))), tmp_path / "runs") is None
    measured_costs(study(PLAIN, GATED), again=True, **words)
    assert len(said) == 2
    assert read_costs(tmp_path / "runs" / "costs.jsonl") == [measured, measured]
    assert costs_if_possible(study(GATED), folder=tmp_path, setup=Setup(cluster="auto")) is None


def test_a_failed_measurement_is_a_warning_where_costs_are_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("cannot be copied\nmore")

    monkeypatch.setattr("senet.training.cost_measurement.measure_costs", fails)
    with pytest.warns(UserWarning, match=r"the cost was not measured: cannot be copied$"):
        assert costs_if_possible(study(PLAIN, GATED), tmp_path, Setup()) is None
    with pytest.raises(RuntimeError):
        measured_costs(study(PLAIN, GATED), tmp_path, Setup())
    with pytest.raises(UsageError, match="leave out cluster"):
        measured_costs(study(PLAIN, GATED), tmp_path, Setup(cluster="auto"))


@pytest.mark.parametrize("line", ["", "{}", "3", '{"networks": []}', '{"networks": [{"network": 1}]}', "\x00"])
def test_a_damaged_measurement_is_refused_by_its_line(tmp_path: Path, measured: MeasuredCosts, line: str) -> None:
    (tmp_path / "costs.jsonl").write_text(f"{measured.line()}\n{line}\n")
    with pytest.raises(CheckpointError, match=r"costs.jsonl:2 is not a measurement of costs"):
        read_costs(tmp_path / "costs.jsonl")


def test_quartiles_ascend() -> None:
    with pytest.raises(SpecError, match="ascending"):
        Ratio(median=1.0, low=1.1, high=1.2)
