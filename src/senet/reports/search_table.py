"""A search as tables of words: what was tried, the phases, the agreement of the shared network with real trainings."""

import math
from collections.abc import Mapping
from statistics import fmean

from senet.experiments.rank_correlation import Correlation, kendall, spearman
from senet.search.outcome import SearchOutcome
from senet.search.pareto import front
from senet.search.strategy import Design, Score
from senet.spec import design_name
from senet.tables import Table
from senet.text import counted

__all__ = ["agreement", "csv_text", "notes", "phases_in_words", "plain_wins", "table"]

SPARE = ("held-out loss", "asked for in", "latency [ms]", "params", "front")
"""Headings of columns that a narrow terminal leaves out, in this order."""

Tests = Mapping[Design, Mapping[int, float]]


def table(outcome: SearchOutcome, tests: Tests) -> Table:
    """Return a row for every trial, best first, then for trials that were stopped early, which have no rank."""
    best = front(outcome.searched, outcome.space.objectives)
    heads = ["design", "asked for in", "params", "held-out top-1 [%]", "held-out loss"]
    heads += ["test top-1 [%]"] if tests else []
    heads += ["latency [ms]"] if "latency_ms" in outcome.space.objectives else []
    rows: list[list[object]] = []
    for design, trial in sorted(outcome.trials.items(), key=lambda pair: -pair[1].score.accuracy):
        score = trial.score
        name = design_name(design) + (" (chosen)" if design == outcome.chosen else "")
        row = [name, trial.phase, score.params, f"{score.accuracy:.2f} ± {trial.spread:.2f}", f"{score.loss:.4f}"]
        if tests:
            row.append(f"{fmean(tests[design].values()):.2f}" if tests.get(design) else "-")
        if "latency_ms" in outcome.space.objectives:
            row.append(f"{score.latency_ms:.2f}")
        rows.append([*row, "yes" if design in best else ""])
    missing = ["-"] * (len(heads) - 4)
    for stopped in sorted(outcome.pruned, key=lambda stopped: (-stopped.pruned.epoch, design_name(stopped.design))):
        epoch, epochs = stopped.pruned.epoch, stopped.pruned.run.recipe.epochs
        stopped_at = f"pruned at epoch {epoch} of {epochs}: {stopped.pruned.accuracy:.2f}"
        if outcome.space.objectives[0] != "loss":
            stopped_at += f" < {stopped.pruned.threshold.level:.2f}"
        rows.append([design_name(stopped.design), stopped.phase, stopped.params, stopped_at, *missing, ""])
    return Table([*heads, "front"], rows, words={"asked for in"}, spare=SPARE)


def csv_text(outcome: SearchOutcome, tests: Tests) -> str:
    """Return every trial as CSV with plain numbers; a missing one is empty."""
    best = front(outcome.searched, outcome.space.objectives)
    numbers = ["params", "accuracy", "spread", "seeds", "loss", "test_accuracy", "latency_ms"]
    rows: list[list[object]] = []
    for design, trial in outcome.trials.items():
        score = trial.score
        test = fmean(tests[design].values()) if tests.get(design) else None
        row = [score.params, score.accuracy, trial.spread, len(trial.results), score.loss, test, score.latency_ms]
        rows.append([design_name(design), *row, int(design in best), int(design == outcome.chosen), None, None])
    for stopped in outcome.pruned:
        row = [stopped.params, *[None] * 6, 0, 0, stopped.pruned.epoch, stopped.pruned.accuracy]
        rows.append([design_name(stopped.design), *row])
    return Table(["design", *numbers, "front", "chosen", "pruned_epoch", "pruned_accuracy"], rows).csv()


def plain_wins(outcome: SearchOutcome) -> bool:
    """Return whether the plain network was trained and is better than every design with blocks."""
    best = max((score.accuracy for score in outcome.searched.values()), default=math.inf)
    return () in outcome.trials and outcome.scores[()].accuracy > best


def phases_in_words(outcome: SearchOutcome) -> list[str]:
    """Return the phases in words."""
    lines = []
    for phase in outcome.phases:
        asked = len(phase.designs)
        best = f", best {design_name(phase.best)}" if phase.best is not None else ", nothing was trained to the end"
        pruned = f", {phase.pruned} of them pruned" if phase.pruned else ""
        lines.append(f"{phase.name}: {counted(asked, 'design')}, {phase.new} new{pruned}{best}")
    return lines


def notes(outcome: SearchOutcome, tests: Tests) -> list[str]:
    """Return the footnotes of the table."""
    space = outcome.space
    seeds = len(space.seeds)
    spread = (
        f"±: standard deviation over {seeds} seeds"
        if seeds > 1
        else "±: what counting so few images leaves open (binomial); how another seed would train comes on top, so "
        "neighbours in this table cannot be distinguished"
    )
    lines = [
        f"the choice was made by {space.base.data.val_size:,} held-out training images, never by the test set",
        spread,
    ]
    if space.base.weights:
        lines.append(
            f"every training starts from {space.base.weights}: if those weights were trained on this data set, they "
            "have seen the held-out images, which then measure less than the confirmation"
        )
    if tests:
        lines.append("test top-1: the same networks on the test set, measured after the choice; not a result to quote")
    if "latency_ms" in space.objectives:
        lines.append("latency: median of 15 passes of one image, on this machine under its load of the moment")
    if plain_wins(outcome):
        lines.append("the plain network has the higher held-out accuracy; whether blocks pay off takes fresh seeds")
    if outcome.ended:
        lines.append(f"the search was cut off: {outcome.ended}")
    if outcome.refused:
        lines.append(f"{len(outcome.refused)} designs have more parameters than the budget of {space.budget.params:,}")
    if outcome.pruned:
        lines.append(_of_the_pruned(outcome))
    return lines


def _of_the_pruned(outcome: SearchOutcome) -> str:
    """Describe the trials that were stopped early, the reason, and their cost; their final accuracy is not known."""
    rule, stopped = outcome.space.stop_early, outcome.pruned
    done = sum(one.pruned.epoch for one in stopped)
    epochs = sum(one.pruned.run.recipe.epochs for one in stopped)
    minutes = sum(one.pruned.seconds for one in stopped) / 60
    return (
        f"pruned: {len(stopped)} of {len(outcome.trials) + len(stopped)} designs, each because its best epoch was "
        f"below the median of the best epochs of the earlier trainings up to there (rule {rule.rule}, from "
        f"epoch {rule.first(outcome.space.base.recipe.epochs)} on, with {rule.startup} others or more, on the "
        f"held-out images only); they had {done} of "
        f"their {epochs} epochs, whose {minutes:.1f} minutes are in the cost; they have no rank, and what they would "
        "have reached is not known"
    )


def agreement(shared: Mapping[Design, Score], real: Mapping[Design, Score]) -> list[tuple[str, Correlation]]:
    """Compare shared scores with real trainings of the same designs, and with the ranking by parameter count."""
    both = [design for design in real if design in shared]
    accuracy = [real[d].accuracy for d in both]
    loss = [-real[d].loss for d in both]
    return [
        ("Spearman, shared accuracy with real accuracy", spearman([shared[d].accuracy for d in both], accuracy)),
        ("Kendall, shared accuracy with real accuracy", kendall([shared[d].accuracy for d in both], accuracy)),
        ("Spearman, shared loss with real loss", spearman([-shared[d].loss for d in both], loss)),
        ("Kendall, shared loss with real loss", kendall([-shared[d].loss for d in both], loss)),
        ("Spearman, number of parameters with real accuracy", spearman([real[d].params for d in both], accuracy)),
    ]
