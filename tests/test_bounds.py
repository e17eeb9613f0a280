"""Numbers that no training can use: one line and the way out, wherever they are written."""

import copy
import math
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from senet import SESpec
from senet.bounds import RANGES, Range, check
from senet.cli import main
from senet.errors import SpecError, UsageError, shown
from senet.experiments.data_spec import Augment, DataSpec
from senet.experiments.recipe import Optim, Recipe, Schedule
from senet.experiments.run import Run

NEVER = [math.nan, math.inf, -math.inf, -1, 10**400, True, None, "3", [1], 1j]
RECORDS: dict[str, Any] = {
    "optim": Optim,
    "schedule": Schedule,
    "augment": Augment,
    "recipe": Recipe,
    "data": DataSpec,
    "": Run,
}


@pytest.mark.parametrize("place", RANGES)
def test_every_range_is_finite_and_refuses_what_is_never_a_number_of_a_training(place: str) -> None:
    allowed = RANGES[place]
    assert math.isfinite(allowed.low)
    assert math.isfinite(allowed.high)
    for value in NEVER:
        with pytest.raises(UsageError) as caught:
            check(place, value, error=UsageError)
        sentence = str(caught.value)
        assert sentence.startswith(f"{place} = {shown(value)} is out of range; give a ")
        assert len(sentence.splitlines()) == 1
        assert len(sentence) < 250
    for end, left_out in ((allowed.low, allowed.above), (allowed.high, allowed.below)):
        number = int(end) if allowed.whole else end
        assert (number in allowed) is not left_out
    assert (allowed.low + 0.5 in allowed) is not allowed.whole


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("place", "kind"), RECORDS.items())
def test_every_number_of_a_record_has_a_range_and_is_held_to_it(place: str, kind: Any) -> None:
    for entry in fields(kind):
        default = getattr(kind(), entry.name)
        if isinstance(default, bool) or not isinstance(default, int | float):
            continue
        name = f"{place}.{entry.name}".lstrip(".")
        for value in (math.nan, -1, 10**400, RANGES[name].high * 1.001):
            with pytest.raises(SpecError, match=f"^{name} = .* is out of range"):
                kind(**{entry.name: value})


def test_a_range_says_itself() -> None:
    assert str(Range(1, 1_000, whole=True)) == "a whole number from 1 to 1,000"
    assert str(Range(0, 1e30, above=True)) == "a number above 0 and at most 1e+30"
    assert str(Range(0, 1, below=True)) == "a number from 0 and below 1"
    assert str(Range(0, 9, whole=True, zero="is off")) == "a whole number from 0 to 9 (0 is off)"


@pytest.mark.parametrize("bad", [{"reduction": 10**25}, {"reduction": (8, 10**25)}, {"stages": (10**9,)}])
def test_a_design_is_bounded_too(bad: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        SESpec(**bad)


def test_a_schedule_that_overflows_in_its_last_epochs_is_refused_before_the_first() -> None:
    growing = Schedule(name="exponential", gamma=1.5)
    Recipe(epochs=100, schedule=growing)
    with pytest.raises(SpecError, match=r"gamma = 1.5 overflows within 2000 epochs"):
        Recipe(epochs=2000, schedule=growing)


@pytest.fixture
def senet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str]]:
    """Run a command; returns its exit code and its complaint."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["senet", *words])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), capsys.readouterr().err

    return run


NINES = "9" * 5000


@pytest.mark.parametrize(
    "words",
    [
        ("train", "optim.lr=1e300"),
        ("train", f"optim.lr={NINES}"),
        ("train", f"seed={NINES}"),
        ("train", "schedule.steps=[[1e400,1]]"),
        ("train", "schedule.steps=[[1,nan]]"),
        ("train", "schedule.steps=5"),
        ("train", "schedule.name=exponential", "schedule.gamma=1e300"),
        ("train", "augment.crop=10000000000000000000000000"),
        ("train", "batch_size=10000000000000000000000000"),
        ("train", "recipe.clip=inf"),
        ("train", "data.size=100000"),
        ("train", "data=5"),
        ("train", "recipe=[1]"),
        ("train", "model=[1]"),
        ("train", "se=5"),
        ("train", "se=" + "[" * 300 + "]" * 300),
        ("train", "se=" + "[" * 3000 + "]" * 3000),
        ("train", ".".join("a" * 2000) + "=1"),
        ("train", "recipe.a.b.c=1", "recipe.a.b.c.d=1"),
        ("train", "optim.lr=1979-05-27"),
        ("train", "--save-every", "nan"),
        ("train", "--save-every", "-1"),
        ("train", "--seed", "-3"),
        ("train", "--epochs", "0"),
        ("train", "--batch-size", "1" * 30),
        ("train", "--lr", "nan"),
        ("train", "--workers", "-1"),
        ("compare", "--seeds", "0"),
        ("compare", "--seeds", "1" * 30),
        ("compare", "--jobs", "-1"),
        ("compare", "--threads", "-1"),
        ("eval", "--model", "resnet8", "--weights", "x.pt", "optim.lr=1e300"),
    ],
    ids=lambda words: " ".join(words)[:50],
)
def test_a_number_without_sense_is_one_line_on_the_command_line(
    senet: Callable[..., tuple[int, str]], words: tuple[str, ...]
) -> None:
    code, said = senet(*words)
    assert code == 2, said
    assert said.startswith("senet: ")
    assert "unexpected" not in said
    assert len(said.splitlines()) == 1
    assert len(said) < 500


FILES = {
    "not a table": "base = 5",
    "a list": "base = [1]",
    "data": "[base]\ndata = 5",
    "data with a list": "[base.data]\nname = [1]",
    "recipe": "[base]\nrecipe = [[1]]",
    "preset": "[base.recipe]\npreset = 3",
    "se": "[base]\nse = [[[3]]]",
    "digits": f"[base]\nseed = {NINES}",
    "deep": "[base]\nse = " + "[" * 5000 + "]" * 5000,
    "deep keys": "[base." + ".".join("a" * 5000) + "]\nb = 1",
    "depths": "[base]\nmodel = 'resnet20'\ndepths = 5",
    "nan": "[base.recipe]\nclip = nan",
    "seeds": "seeds = [1e3]\n[[rows]]\nid = 'a'",
    "many axes": "[axes]\n" + "\n".join(f"'recipe.{name}' = [{','.join(map(str, range(1, 1001)))}]" for name in "abc"),
    "rows": "rows = 5",
    "axes": "axes = 5",
    "quick": "quick = 5",
}


COMMANDS = ("train", "run", "search", "report")  # read files by one function: each of them some


@pytest.mark.parametrize(("name", "command"), list(zip(FILES, cycle(COMMANDS), strict=False)))
def test_a_file_without_sense_is_one_line(
    senet: Callable[..., tuple[int, str]], command: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "file.toml").write_text(FILES[name])
    words = ["--epochs", "0"] if command == "train" else []  # what a train command passes over ends here
    code, said = senet(command, "file.toml", *words)
    assert code == 2, said
    assert said.startswith("senet: ")
    assert "unexpected" not in said
    assert len(said.splitlines()) == 1
    assert len(said) < 700


NO_RUNS = ["null", "5", "[]", '{"model": 5}', "[" * 100_000, f'{{"seed": {NINES}}}', "NaN", "\x00"]


@pytest.mark.parametrize("text", NO_RUNS, ids=lambda text: text[:20])
def test_the_folder_of_no_run_is_one_line(senet: Callable[..., tuple[int, str]], text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    code, said = senet("eval", str(tmp_path))
    assert code == 4, said
    assert "run.json is not a run" in said
    assert len(said.splitlines()) == 1


def test_a_study_of_many_rows_is_read_in_a_moment(tmp_path: Path) -> None:
    from senet.experiments.study import Row, Study

    one = Row(id="7", label="", run=Run(seed=0), versus="7")
    rows = tuple(copy.copy(one) for _ in range(20_000))
    for number, row in enumerate(rows):
        object.__setattr__(row, "id", str(number))  # 20,000 checked calls would take longer than what is tested
    began = time.process_time()
    Study(name="many", title="", rows=rows)
    assert time.process_time() - began < 2  # in quadratic time: minutes
    with pytest.raises(SpecError, match="runs of a study = 200000 is out of range"):
        Study(name="many", title="", rows=rows, seeds=tuple(range(10)))


def test_names_of_a_recipe_may_be_short_and_a_wrong_one_is_said_in_full(senet: Callable[..., tuple[int, str]]) -> None:
    assert "recipe.epochs = 0 is out of range" in senet("train", "epochs=0")[1]
    assert "recipe.epochs = 0 is out of range" in senet("train", "recipe.epochs=0")[1]
    assert "optim.lr is the full name" in senet("train", "lr=0.1")[1]
    assert "optim.lr is the full name" in senet("train", "recipe.lr=0.1")[1]
    assert "data.train_size is the full name" in senet("train", "train_size=5")[1]
