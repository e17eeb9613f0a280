"""The number of seeds of a study: fixed, planned from its first results, or extended until all designs are decided."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from senet.bounds import check_flags
from senet.errors import UsageError
from senet.text import counted, one_line

if TYPE_CHECKING:
    from senet.experiments.failed_run import Failed
    from senet.experiments.result import Result
    from senet.experiments.run import Run
    from senet.experiments.study import Study
    from senet.experiments.summary import Line

__all__ = ["PlannedSeeds", "Repeats", "SeedPlan", "seed_plan"]

SEEDS = "Seeds"  # panel of the help
PILOT = 3  # default number of seeds that --detect plans from

Results = tuple["dict[Run, Result]", "list[Failed]"]
Train = Callable[["Study", "dict[Run, Result]"], Results]


@dataclass(frozen=True, kw_only=True)
class SeedPlan:
    """The rule that decides how many seeds a study gets.

    Attributes:
        seeds: number of seeds of each row, or the first ones if more may follow; None for those of the study.
        auto: add seeds, look by look, until every design is decided.
        most: largest number of seeds of looks and plans.
        detect: difference that the seeds have to show [percentage points]; None for a fixed number.
        margin: smallest difference that matters [percentage points]; None for that of the study.
    """

    seeds: int | None
    auto: bool
    most: int
    detect: float | None
    margin: float | None

    def applied(self, study: "Study") -> "Study":
        """Return a study with margin, first seeds and looks."""
        from senet.experiments.looks import planned_looks

        if self.margin is not None:
            study = replace(study, margin=self.margin)
        if self.auto:
            looks = planned_looks(self.most)
            return replace(study.repeated(looks[0]), looks=looks)
        return study if self.seeds is None else study.repeated(self.seeds)

    @property
    def open(self) -> bool:
        """Whether the number of seeds depends on results."""
        return self.auto or self.detect is not None

    @property
    def changes(self) -> bool:
        """Whether a study gets seeds other than its own."""
        return self.open or self.seeds is not None

    def belongs(self, study: "Study") -> "Callable[[Run], bool]":
        """Return a function that tells whether a run may be part of the study."""
        most = max(self.most, len(study.seeds)) if self.open else len(study.seeds)
        return frozenset(study.repeated(most).runs()).__contains__

    def carry_out(
        self, study: "Study", train: Train, *, quiet: bool
    ) -> "tuple[Study, dict[Run, Result], list[Failed]]":
        """Train a study with the number of seeds that the rule asks for.

        Args:
            study: as `applied` returns it.
            train: function that trains the missing runs of a study and returns all results.
            quiet: print nothing about the looks.

        Returns:
            The study with its last seeds, the results, and the runs that failed.
        """
        from senet.experiments.summary import summarize

        results, failed = train(study, {})
        while self.open and not failed and len(results) == len(study.runs()):
            lines = summarize(study, results)
            seeds, why = self._next(study, lines)
            if why and not quiet and os.environ.get("RANK", "0") == "0":
                print(one_line(why), file=sys.stderr, flush=True)
            if seeds <= len(study.seeds):
                break
            study = study.repeated(seeds)
            results, failed = train(study, results)
        return study, results, failed

    def _next(self, study: "Study", lines: "Sequence[Line]") -> tuple[int, str]:
        """Return the next number of seeds, or the present one to end, and a sentence that explains it."""
        now = len(study.seeds)
        if study.looks:
            return _next_look(study, lines)
        if self.detect is None or now != self.seeds:
            return now, ""
        from senet.experiments.verdict import images_needed, seeds_needed

        found = [line.difference for line in lines if line.difference is not None and line.difference.n > 1]
        needs = [seeds_needed(each, self.detect) for each in found]
        if not needs:
            return now, ""
        asked = f"to show a difference of {self.detect:g} points in 4 of 5 cases takes"
        if images := [need for each in found if (need := images_needed(each, self.detect)) is not None]:
            return now, f"{asked} about {max(images):,} test images, whatever the number of seeds"
        need = max(self.most + 1 if each is None else each for each in needs)
        if need > self.most:
            return self.most, f"{asked} more than {self.most} seeds; --max-seeds {self.most} ends there"
        return need, f"{asked} about {counted(need, 'seed')}, as the first {now} spread"


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Options of a command that repeats every design with several seeds (`senet.cli.option_groups`)."""

    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            "-n",
            metavar="N",
            rich_help_panel=SEEDS,
            help="Repetitions of every design with the same seeds, or auto: add seeds until every design is decided. "
            "Default: 5, or those of the study.",
        ),
    ] = None
    max_seeds: Annotated[
        int,
        typer.Option(
            "--max-seeds", metavar="N", rich_help_panel=SEEDS, help="Most seeds of --seeds auto and of --detect."
        ),
    ] = 20
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin", metavar="POINTS", rich_help_panel=SEEDS,
            help="The smallest difference that matters [percentage points]. Default: 0.5, or that of the study.",
        ),
    ] = None  # fmt: skip

    def plan(self) -> SeedPlan:
        """Check the options, see `seed_plan`."""
        return seed_plan(**vars(self))

    def words(self) -> list[str]:
        """Return the options that differ from their defaults, as they are typed."""
        asked = {"--seeds": self.seeds, "--margin": self.margin, "--max-seeds": self.max_seeds}
        if asked["--seeds"] != "auto":
            del asked["--max-seeds"]
        return [word for name, value in asked.items() if value is not None for word in (name, f"{value}")]


@dataclass(frozen=True, kw_only=True)
class PlannedSeeds(Repeats):
    """Options of a command that also trains the repetitions."""

    detect: Annotated[
        float | None,
        typer.Option(
            "--detect",
            metavar="POINTS",
            rich_help_panel=SEEDS,
            help="Train as many seeds as it takes to show a difference of this size in 4 of 5 cases.",
        ),
    ] = None


def _next_look(study: "Study", lines: "Sequence[Line]") -> tuple[int, str]:
    now, judged = len(study.seeds), [line for line in lines if line.verdict is not None]
    undecided = [line for line in judged if line.verdict is not None and not line.verdict.decided]
    look = f"look {study.looks.index(now) + 1} of {len(study.looks)}, {now} seeds: "
    if not undecided:
        return now, f"{look}every design is decided"
    names = ", ".join(line.row.label for line in undecided)
    if now == study.looks[-1]:
        return now, f"{look}undecided: {names}; --max-seeds {now} ends here"
    if now > study.looks[0] and not any(line.verdict is not None and line.verdict.more_seeds for line in undecided):
        return now, f"{look}undecided: {names}; more seeds would not decide them"
    following = next(number for number in study.looks if number > now)
    return following, f"{look}undecided: {names}; going on to {following} seeds"


def seed_plan(
    *, seeds: str | None, max_seeds: int, margin: float | None = None, detect: float | None = None
) -> SeedPlan:
    """Check the options about seeds.

    Raises:
        UsageError: if a number is out of range, or --seeds auto is combined with --detect.
    """
    auto = seeds is not None and seeds.strip().lower() == "auto"
    number = None
    if seeds is not None and not auto:
        try:
            number = int(seeds)
        except ValueError:
            raise UsageError(f"--seeds {seeds} is not a whole number; use 1 to 1,000, or auto.") from None
        check_flags(seeds=number)
    check_flags(max_seeds=max_seeds)
    if margin is not None:
        check_flags(margin=margin)
    if detect is not None:
        check_flags(detect=detect)
        if auto:
            raise UsageError("--seeds auto and --detect contradict each other; leave one out.")
        if number is None:
            number = min(PILOT, max_seeds)
        if number < 2:
            raise UsageError(
                f"--detect plans from the spread of the first seeds, and {number} has none; use --seeds 3."
            )
    return SeedPlan(seeds=number, auto=auto, most=max_seeds, detect=detect, margin=margin)
