"""kill -9 at any moment: the run goes on and ends with the bits of the undisturbed one."""

import random
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from forks import RECIPE, RUN, Child, digest, drawn, patient, start, train_digits

from senet import SESpec
from senet.experiments.recipe import Optim
from senet.experiments.run import Run
from senet.training.checkpoint import FAILPOINTS


@dataclass
class Life:
    """A run that is killed and started again, with what it drew between.

    Attributes:
        run: what is trained.
        place: holds the folder of the run and its logs.
        save_every: seconds between two checkpoints.
        kills: so far.
        undisturbed: images of every step, as they should be drawn.
        done: steps known to be done or begun.
        times: when each step was drawn last.
        ended: when the last process did.
    """

    run: Run
    place: Path
    save_every: float = 0.0
    kills: int = 0

    def __post_init__(self) -> None:
        child = start(self.place / "said", train_digits, self.run, self.place / "undisturbed", log=self.place / "log")
        assert child.join() == 0, child.said
        steps = drawn(self.place / "log")
        self.seconds = time.monotonic() - steps[0][0]  # the first process may wait for the server to start
        self.undisturbed = [images for _, images in steps]
        self.done = 0
        self.ended = 0.0
        self.times: dict[int, float] = {}

    def begin(self, failpoint: str = "") -> Child:
        """Start it, or let it go on."""
        self.log = self.place / f"log{self.kills}"
        folder, kw = self.place / "killed", {"log": self.log, "save_every": self.save_every}
        env = {"SENET_FAILPOINT": failpoint} if failpoint else {}
        return start(self.place / "said", train_digits, self.run, folder, env=env, **kw)

    def is_killed(self, child: Child, after: float) -> bool:
        """Kill it after some seconds, unless it has ended."""
        child.process.join(after)
        child.process.kill()
        return self.was_killed(child)

    def was_killed(self, child: Child) -> bool:
        """Check what a process did before it ended, and say whether it was killed."""
        code = child.join(patient(60))
        ended = time.monotonic()
        self.check(ended)
        assert code in (0, -signal.SIGKILL), child.said
        self.kills += code != 0
        return code != 0

    def check(self, ended: float) -> None:
        """Check that it went on with the right images, and lost no more than it may."""
        steps = drawn(self.log)
        if not steps:
            return
        first = self.undisturbed.index(steps[0][1])
        assert [images for _, images in steps] == self.undisturbed[first : first + len(steps)]
        assert first <= self.done
        if self.save_every == 0:
            assert self.done - first <= 1  # the step in progress
        elif first < self.done:
            lost = self.ended - self.times[first]
            began = [self.times[step] for step in range(first, self.done)]
            slowest = max(after - before for before, after in zip(began, [*began[1:], self.ended], strict=True))
            assert lost <= self.save_every + slowest + patient(0.1)
        self.times |= {first + number: at for number, (at, _) in enumerate(steps)}
        self.done = first + len(steps)
        self.ended = ended

    def finish(self) -> None:
        """Let it end, and compare."""
        if not (self.place / "killed" / "result.json").exists():
            child = self.begin()
            assert not self.was_killed(child), child.said
            assert self.done == len(self.undisturbed)
        assert digest(self.place / "killed") == digest(self.place / "undisturbed")


def variety(number: int) -> Run:
    """Return one of many runs: two optimisers, averaged weights, blocks, seeds."""
    adam = Optim(name="adamw", lr=2e-3)
    recipe = replace(RECIPE, ema=0.9 * (number % 3 == 1), optim=adam if number % 2 else RECIPE.optim)
    return replace(RUN, seed=number, recipe=recipe, se=(SESpec(reduction=4),) * (number % 4 > 1))


def live(number: int, place: Path, *, kills: int) -> Life:
    """Kill a run at times that are uniform over its life, and let it end."""
    place.mkdir()
    chance = random.Random(number)
    life = Life(variety(number), place, save_every=(0.0, 0.1, 0.3)[number % 3])
    while life.kills < kills and life.is_killed(life.begin(), chance.uniform(0, life.seconds)):
        pass
    life.finish()
    return life


def test_a_run_that_is_killed_at_random_ends_with_the_same_bits(tmp_path: Path) -> None:
    life = live(1, tmp_path / "run", kills=4)
    assert life.kills


def die_at(failpoint: str, place: Path, run: Run = RUN, *, times: int) -> None:
    """Kill a run at a failpoint some times, further on each time, and let it end."""
    place.mkdir()
    life = Life(run, place)
    for number in range(1, times + 1):
        if not life.was_killed(life.begin(f"{failpoint}:{number}")):
            break
    assert life.kills, f"{failpoint} was not reached"
    life.finish()


@pytest.mark.parametrize("failpoint", ["mid_write", "mid_prune"])
def test_a_run_that_is_killed_while_it_saves_ends_with_the_same_bits(failpoint: str, tmp_path: Path) -> None:
    die_at(failpoint, tmp_path / "run", replace(RUN, recipe=replace(RECIPE, batch_size=40)), times=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_kills_over_twenty_runs_lose_nothing(tmp_path: Path) -> None:
    began, kills, runs = time.monotonic(), 0, 0
    while runs < 20 or kills < 100:
        kills += live(runs, tmp_path / str(runs), kills=8).kills
        runs += 1
    print(f"\n{kills} kills at random times over {runs} runs in {time.monotonic() - began:.0f} s: all equal")
    assert runs <= 60


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_run_that_is_killed_at_any_failpoint_ends_with_the_same_bits(failpoint: str, tmp_path: Path) -> None:
    die_at(failpoint, tmp_path / "run", times=5)


def test_a_run_that_is_killed_while_it_replaces_a_checkpoint_ends_with_the_same_bits(tmp_path: Path) -> None:
    run = replace(RUN, recipe=replace(RECIPE, batch_size=50))
    train_digits(run, tmp_path / "undisturbed")
    stopped = tmp_path / "stopped"
    first = start(tmp_path / "said", train_digits, run, stopped, stop_at_test=2)  # in the last test: all steps are done
    assert first.join() == 75, first.said
    env = {"SENET_FAILPOINT": "before_replace:2"}  # the first one is the curve
    assert start(tmp_path / "said", train_digits, run, stopped, stop_at_test=1, env=env).join() == -signal.SIGKILL
    train_digits(run, stopped)
    assert digest(stopped) == digest(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    "kill", ["before_replace", *(pytest.param(kill, marks=pytest.mark.slow) for kill in ("mid_write", "after_replace"))]
)
def test_a_kill_behind_the_last_step_leaves_nothing_at_the_next_look(kill: str, tmp_path: Path) -> None:
    run = replace(RUN, recipe=replace(RECIPE, batch_size=100))
    train_digits(run, tmp_path / "undisturbed")
    finished = {"README.md", "config.json", "run.json", "run.lock", "metrics.jsonl", "model.safetensors", "result.json"}
    for count in range(1, 7):  # run.json, the curve, the weights, the card, the description, the result
        folder = tmp_path / str(count)
        env = {"SENET_FAILPOINT": f"{kill}:{count}"}
        assert start(tmp_path / "said", train_digits, run, folder, env=env).join() == -signal.SIGKILL
        train_digits(run, folder)
        assert {path.name for path in folder.iterdir()} == finished
        assert digest(folder) == digest(tmp_path / "undisturbed")
