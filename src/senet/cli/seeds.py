"""The number of seeds of a study: fixed, planned from its first results, or extended until all designs are decided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from senet.bounds import check_flags
from senet.cli.printing import say_to_stderr
from senet.errors import UsageError

if TYPE_CHECKING:
    from senet.experiments.failed_run import Failed
    from senet.experiments.result import Result
    from senet.experiments.run import Run
    from senet.experiments.seed_plan import SeedPlan
    from senet.experiments.study import Study
    from senet.experiments.summary import Line

__all__ = ["PlannedSeeds", "Repeats", "carry_out", "seed_plan"]

SEEDS = "Seeds"  # panel of the help
PILOT = 3  # default number of seeds that --detect plans from

Results = tuple["dict[Run, Result]", "list[Failed]"]
Train = Callable[["Study", "dict[Run, Result]"], Results]


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
            "--max-seeds",
            metavar="N",
            rich_help_panel=SEEDS,
            help="Largest number of seeds for --seeds auto and --detect.",
        ),
    ] = 20
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin", metavar="POINTS", rich_help_panel=SEEDS,
            help="The smallest difference that matters [percentage points]. Default: 0.5, or that of the study.",
        ),
    ] = None  # fmt: skip

    def plan(self) -> "SeedPlan":
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


def seed_plan(
    *, seeds: str | None, max_seeds: int, margin: float | None = None, detect: float | None = None
) -> "SeedPlan":
    """Check the options about seeds.

    Raises:
        UsageError: if a number is out of range, or --seeds auto is combined with --detect.
    """
    from senet.experiments.seed_plan import SeedPlan

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
                f"--detect needs the spread of the first seeds, and --seeds {number} has no spread; use --seeds 3."
            )
    return SeedPlan(seeds=number, auto=auto, most=max_seeds, detect=detect, margin=margin)


def carry_out(
    plan: "SeedPlan", study: "Study", train: Train, *, quiet: bool
) -> "tuple[Study, dict[Run, Result], list[Failed]]":
    """Train a study with the number of seeds that a plan asks for, and print what was found at each look.

    Args:
        plan: the rule.
        study: as `plan.applied` returns it.
        train: function that trains the missing runs of a study and returns all results, and those that failed.
        quiet: print nothing about the looks.

    Returns:
        The study with its last seeds, the results, and the runs that failed.
    """
    from senet.experiments.summary import summarize

    results: dict[Run, Result] = {}
    failed: list[Failed] = []

    def trained(study: "Study") -> "Sequence[Line] | None":
        nonlocal results, failed
        results, failed = train(study, results)
        return None if failed or len(results) < len(study.runs()) else summarize(study, results)

    study = plan.carry_out(study, trained, say=partial(say_to_stderr, quiet=quiet))
    return study, results, failed
