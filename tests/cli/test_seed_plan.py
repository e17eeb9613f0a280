"""How many seeds a study gets: fixed, in looks until all is decided, or as its first seeds ask for."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from study_results import result, study

from senet.cli import main
from senet.cli.seeds import carry_out, seed_plan
from senet.errors import UsageError
from senet.experiments.failed_run import Failed
from senet.experiments.image_bits import pack
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.study import Study

Right = Callable[[Run], int]
Train = Callable[[Study, Mapping[Run, Result]], tuple[dict[Run, Result], list[Failed]]]


def trainer(right: Right, said: list[int]) -> Train:
    """Return what trains a study at once: `right` of 1,000 images for each run, the first ones."""

    def train(study: Study, known: Mapping[Run, Result]) -> tuple[dict[Run, Result], list[Failed]]:
        said.append(len(study.seeds))
        fresh = {}
        for run in study.runs():
            bits = pack([at < right(run) for at in range(1000)])
            fresh[run] = known.get(run) or replace(result(run, right(run)), right=bits)
        return fresh, []

    return train


def carried_out(
    right: Right,
    *,
    seeds: str | None = None,
    max_seeds: int = 20,
    margin: float | None = None,
    detect: float | None = None,
) -> tuple[Study, list[int]]:
    plan = seed_plan(seeds=seeds, max_seeds=max_seeds, margin=margin, detect=detect)
    said: list[int] = []
    done, _, _ = carry_out(plan, plan.applied(study((0, 1, 2, 3, 4))), trainer(right, said), quiet=False)
    return done, said


def alike(run: Run) -> int:
    return 700 + run.seed % 3


def test_a_fixed_number_is_trained_once() -> None:
    assert carried_out(alike)[1] == [5]
    for number in (1, 3, 7):
        done, said = carried_out(alike, seeds=str(number))
        assert (said, done.seeds, done.looks) == ([number], tuple(range(number)), ())


def test_looks_end_where_every_design_is_decided() -> None:
    done, said = carried_out(lambda run: 700 + 60 * bool(run.se) + run.seed % 2, seeds="auto", max_seeds=12)
    assert (said, done.looks) == ([3], (3, 5, 8, 12))
    done, said = carried_out(lambda run: 700 + 60 * bool(run.se) + 9 * (run.seed % 3), seeds="auto", max_seeds=8)
    assert said[0] == 3
    assert len(done.seeds) == said[-1]


def test_looks_go_on_to_the_last_one_where_nothing_is_decided(capsys: pytest.CaptureFixture[str]) -> None:
    wild = lambda run: 700 + (37 * run.seed * (1 + len(run.se)) + 11 * len(run.design)) % 90  # noqa: E731
    done, said = carried_out(wild, seeds="auto", max_seeds=8)
    assert said == [3, 5, 8]
    err = capsys.readouterr().err
    assert "look 1 of 3, 3 seeds: undecided: SE, Bump; continuing with 5 seeds" in err
    assert "look 3 of 3, 8 seeds: undecided: SE, Bump; stopping at --max-seeds 8" in err
    assert done.looks == (3, 5, 8)


def test_the_first_seeds_plan_what_a_difference_takes(capsys: pytest.CaptureFixture[str]) -> None:
    wild = lambda run: 700 + (37 * run.seed * (1 + len(run.se)) + 11 * len(run.design)) % 9  # noqa: E731
    done, said = carried_out(wild, detect=2.0)
    assert len(said) <= 2
    assert said[0] == 3
    assert len(done.seeds) == said[-1] < 20
    _, said = carried_out(wild, detect=0.7, max_seeds=4)
    assert said[-1] == 4
    err = capsys.readouterr().err
    assert "in 4 of 5 cases takes" in err
    assert "stopping at --max-seeds 4" in err or "test images, whatever the number of seeds" in err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seeds": "many"}, "--seeds many is not a whole number; use 1 to 1,000, or auto"),
        ({"seeds": "0"}, "--seeds = 0 is out of range"),
        ({"seeds": "2.5"}, "--seeds 2.5 is not a whole number"),
        ({"max_seeds": 2}, "--max-seeds = 2 is out of range"),
        ({"margin": 0.0}, "--margin = 0.0 is out of range"),
        ({"margin": 1e-300}, "from 0.001 to 100"),  # its square is 0: no number of images would do
        ({"margin": float("nan")}, "--margin = nan is out of range"),
        ({"detect": -1.0}, "--detect = -1.0 is out of range"),
        ({"seeds": "auto", "detect": 0.5}, "leave one out"),
        ({"seeds": "1", "detect": 0.5}, "--detect needs the spread of the first seeds, and --seeds 1 has no spread"),
    ],
)
def test_what_cannot_be_planned_is_refused(asked: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        carried_out(alike, **asked)


@pytest.mark.usefixtures("no_matplotlib")
def test_compare_looks_and_says_what_it_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = "data.train_size=60 data.test_size=60 --epochs 1 --device cpu -j 1 --model resnet8 --no-cost"
    words = f"compare --se standard --seeds auto --max-seeds 3 --margin 2 {tiny}".split()
    outs = []
    for extra in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["senet", *words, *extra])
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code
        outs.append(capsys.readouterr())
    assert "60 training and 60 test images" in outs[0].err
    assert "estimated time: " in outs[0].err
    assert "look 1 of 1, 3 seeds: " in outs[0].err
    assert "Verdict, where a difference of 2 points matters" in outs[0].out
    said = json.loads(outs[1].out)
    assert (said["looks"], said["margin"], said["half_done"]) == ([3], 2, False)
    gated = said["rows"][1]
    assert gated["verdict"]["word"] in ("pays off", "does not pay off", "equal within the margin", "undecided")
    assert gated["difference"]["images"] == "paired"
    assert gated["difference"]["low"] < gated["difference"]["mean"] < gated["difference"]["high"]
    assert all(one["right"] for one in said["results"])
