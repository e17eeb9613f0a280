"""Write the report of a search: JSON, table, Pareto front as CSV and figure, the choice as a study file, Markdown."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from senet.execution.store import write_results
from senet.experiments.summary import summarize
from senet.files.atomic import ensure_writable, write_json, write_text
from senet.files.documents import finite
from senet.reports import search_table
from senet.reports.answer import answer
from senet.reports.canvas import no_figures
from senet.reports.search_figure import draw
from senet.reports.study_notes import footnotes, verdicts
from senet.reports.study_table import markdown as study_markdown
from senet.search.confirmation import against_constants, confirmation, study_text
from senet.search.final_test import Selection
from senet.search.findings import Findings
from senet.search.outcome import SearchOutcome
from senet.search.pareto import front
from senet.spec import design_name
from senet.tables import Table
from senet.text import bullets, code_span, counted
from senet.text import markdown as as_markdown

__all__ = ["findings_dict", "write_report"]


def write_report(found: Findings, folder: Path, *, command: str, again: str = "") -> list[Path]:
    """Write the report of a search and its files.

    Args:
        found: the search.
        folder: gets `report.md`, `table.md`, `search.json`, `pareto.csv`, `pareto.png`, `chosen.toml`, and
            `results.jsonl` with all results; `pruned.jsonl` if trainings were stopped early.
        command: what made it, for the report.
        again: what wrote it again without training; empty if this did both.

    Raises:
        StorageError: if the folder cannot be written.
    """
    ensure_writable(folder)
    outcome = found.outcome
    names = ["report.md", "table.md", "search.json", "pareto.csv", "results.jsonl"]
    write_json(folder / "search.json", findings_dict(found))
    table = search_table.table(outcome, found.tests).markdown()
    write_text(folder / "table.md", table)
    write_text(folder / "pareto.csv", search_table.csv_text(outcome, found.tests))
    trained = [result for trial in outcome.trials.values() for result in trial.results.values()]
    write_results(folder / "results.jsonl", [*trained, *found.results.values()])
    if outcome.pruned:
        lines = (json.dumps(stopped.pruned.as_dict(), allow_nan=False) + "\n" for stopped in outcome.pruned)
        write_text(folder / "pruned.jsonl", "".join(lines))
        names.append("pruned.jsonl")
    if outcome.trials and not no_figures():
        shared = found.shared.scores if found.shared else None
        draw(outcome, folder / "pareto.png", shared=shared, pool=found.pool or None)
        names.append("pareto.png")
    if outcome.chosen is not None:
        study = found.study or confirmation(outcome.space, [outcome.chosen])
        write_text(folder / "chosen.toml", study_text(study, outcome.space.final(outcome.chosen)))
        names.append("chosen.toml")
    write_text(folder / "report.md", _text(found, table, command, again))
    for left in {"pruned.jsonl", "pareto.png", "chosen.toml"} - set(names):  # of another search that wrote here before
        (folder / left).unlink(missing_ok=True)
    return [folder / file for file in names]


def findings_dict(found: Findings) -> dict[str, Any]:
    """Return a search as plain values for JSON."""
    outcome, space = found.outcome, found.outcome.space
    best = front(outcome.searched, space.objectives)
    trials = [
        {
            "design": design_name(design),
            "se": [asdict(spec) for spec in design],
            "phase": trial.phase,
            **finite(asdict(trial.score)),
            "spread": trial.spread,
            "held_out": {seed: result.accuracy for seed, result in trial.results.items()},
            "test": dict(found.tests.get(design, {})),
            "runs": [result.run.id for result in trial.results.values()],
            "seconds": sum(result.seconds for result in trial.results.values()),
            "front": design in best,
        }
        for design, trial in outcome.trials.items()
    ]
    values: dict[str, Any] = {
        "schema": 1,
        "space": space.name,
        "strategy": outcome.strategy,
        "objectives": space.objectives,
        "seeds": space.seeds,
        "chosen": None if outcome.chosen is None else design_name(outcome.chosen),
        "ended": outcome.ended,
        "train_seconds": outcome.seconds,
        "phases": [
            {
                "phase": p.name,
                "designs": [design_name(d) for d in p.designs],
                "new": p.new,
                "pruned": p.pruned,
                "best": None if p.best is None else design_name(p.best),
            }
            for p in outcome.phases
        ],
        "trials": trials,
        "pruned": [
            {
                "design": design_name(stopped.design),
                "se": [asdict(spec) for spec in stopped.design],
                "phase": stopped.phase,
                "params": stopped.params,
                "seed": stopped.pruned.run.seed,
                "run": stopped.pruned.run.id,
                "rule": stopped.pruned.rule.rule,
                "epoch": stopped.pruned.epoch,
                "epochs": stopped.pruned.run.recipe.epochs,
                "accuracy": stopped.pruned.accuracy,
                "to_reach": stopped.pruned.threshold.level,
                "others": stopped.pruned.threshold.others,
                "seconds": stopped.pruned.seconds,
            }
            for stopped in outcome.pruned
        ],
        "refused": {design_name(design): params for design, params in outcome.refused.items()},
        "claims": [_selection(selection) for selection in found.selections],
    }
    if found.study is not None:
        values["confirmation"] = answer(found.study, summarize(found.study, found.results))
    if found.shared is not None:
        values["shared"] = {
            "train_seconds": found.shared.train_seconds,
            "score_seconds": found.shared.score_seconds,
            "designs_per_minute": found.shared.per_minute,
            "agreement": {label: finite(asdict(value)) for label, value in _agreement(found)},
            "scores": {
                design_name(d): {"accuracy": s.accuracy, "loss": s.loss, "params": s.params}
                for d, s in found.shared.scores.items()
            },
        }
    return values


def _selection(selection: Selection) -> dict[str, Any]:
    reference = None if selection.reference is None else design_name(selection.reference)
    return finite({**asdict(selection), "design": design_name(selection.design), "reference": reference})


def _agreement(found: Findings) -> list[tuple[str, Any]]:
    assert found.shared is not None
    pool = found.pool or found.outcome.trials
    return search_table.agreement(found.shared.scores, {design: trial.score for design, trial in pool.items()})


def _text(found: Findings, rows: str, command: str, again: str) -> str:
    outcome, space = found.outcome, found.outcome.space
    results = [*(t.results for t in outcome.trials.values()), *(stopped.results for stopped in outcome.pruned)]
    trained = sum(map(len, results))
    pruned = f" and {len(outcome.pruned)} that were pruned" if outcome.pruned else ""
    parts = [
        f"# {as_markdown(f'{space.title or space.name}: {outcome.strategy}')}\n",
        f"{_choice(outcome)} Cost: {counted(len(outcome.trials), 'design')}, {counted(trained, 'training')}{pruned}, "
        f"{outcome.seconds / 60:.1f} minutes of training{_shared_cost(found)}; the space holds "
        f"{counted(space.size, 'design')}.\n",
        "## What was tried\n",
        rows,
        bullets(search_table.notes(outcome, found.tests)),
        "![held-out accuracy against parameters](pareto.png)\n" if outcome.trials and not no_figures() else "",
        "## The phases\n",
        bullets(search_table.phases_in_words(outcome)),
        *_shared(found),
        *_claimed(found),
        *_confirmed(found),
        "## How it was made\n",
        "\n".join(f"- {line}." for line in _made(found, command, again)) + "\n",
    ]
    return "\n".join(part for part in parts if part)


def _choice(outcome: SearchOutcome) -> str:
    """Describe what the search ends with, the plain network first where it is better."""
    if outcome.chosen is None:
        return "Chosen: nothing: no design was trained."
    chosen = f"**{as_markdown(design_name(outcome.chosen))}**"
    if not search_table.plain_wins(outcome):
        return f"Chosen: {chosen}."
    score, plain = outcome.scores.get(outcome.chosen), outcome.scores[()]
    held_out = f", {score.accuracy:.2f} %" if score is not None else ""
    return (
        f"The **plain** network has the highest held-out accuracy, {plain.accuracy:.2f} %; whether blocks pay off "
        f"takes fresh seeds (`senet compare`). Of the designs with blocks {chosen} was chosen{held_out}."
    )


def _shared_cost(found: Findings) -> str:
    if found.shared is None:
        return ""
    return f", {found.shared.train_seconds / 60:.1f} minutes for the shared network"


def _shared(found: Findings) -> list[str]:
    if found.shared is None:
        return []
    shared = found.shared
    return [
        "## Does the shared network rank as real trainings do?\n",
        bullets(
            [
                f"{len(shared.scores):,} designs scored in {shared.score_seconds:.1f} s, {shared.per_minute:,.0f} a "
                "minute, norms measured anew for each and common beginnings run once",
                *_rank_of_choice(found),
                *(f"{label}: {value} (95 % interval)" for label, value in _agreement(found)),
                "both scores are of the same held-out images, so their errors are not independent; the intervals "
                "are valid for designs drawn at random, these were picked by searches",
            ]
        ),
    ]


def _rank_of_choice(found: Findings) -> list[str]:
    """Describe the rank of the choice by the shared network: it may be a probe, not a proposal."""
    chosen = found.outcome.chosen
    if found.shared is None or chosen is None or chosen not in found.shared.scores:
        return []
    scores = found.shared.scores
    ranked = sorted(scores, key=lambda design: scores[design].maximized(found.outcome.space.objectives), reverse=True)
    return [
        f"the choice {design_name(chosen)} has rank {ranked.index(chosen) + 1} of {len(ranked)} by its shared score"
    ]


def _claimed(found: Findings) -> list[str]:
    if not found.selections:
        return []
    rows = [
        [
            selection.criterion,
            design_name(selection.design),
            f"{selection.test:.2f}",
            "-" if selection.gain != selection.gain else f"{selection.gain:+.2f}",
        ]
        for selection in found.selections
    ]
    seeds = len(found.outcome.space.seeds)
    reference = found.selections[0].reference
    gain = "gain" if reference is None else f"gain over {design_name(reference)}"
    return [
        "## What selecting on the test set would have claimed\n",
        Table(["way", "design", "test top-1 [%]", gain], rows, words={"design"}).markdown(),
        bullets(
            [
                f"the same trainings, {counted(seeds, 'seed')} each; the second row takes the largest of "
                f"{sum(bool(d) for d in found.tests)} noisy numbers and prints that very number, so it is too large on "
                "average even where no design differs"
            ]
        ),
    ]


def _confirmed(found: Findings) -> list[str]:
    if found.study is None:
        return []
    lines = summarize(found.study, found.results)
    return [
        "## The choice, trained anew with fresh seeds and tested once\n",
        study_markdown(found.study, lines),
        bullets(
            [
                *against_constants(found.study, lines, found.outcome.chosen),
                *verdicts(found.study, lines),
                *footnotes(found.study, lines),
            ]
        ),
    ]


def _made(found: Findings, command: str, again: str) -> list[str]:
    space = found.outcome.space
    data, recipe = space.base.data, space.base.recipe
    made = [
        f"Command: {code_span(command)}",
        *([f"Written again from its files by {code_span(again)}, which trains nothing"] if again else []),
        f"Network {code_span(space.base.model)}, data {code_span(data.name)}, {data.train_size or 'all'} training "
        f"images, {data.val_size:,} others held out, {data.test_size or 'all'} test images",
        f"{counted(recipe.epochs, 'epoch')}, batch {recipe.batch_size}, {recipe.optim.name} lr {recipe.optim.lr:g}, "
        f"schedule {recipe.schedule.name}, precision {'float32' if recipe.amp == 'off' else 'bfloat16 autocast'}",
        f"Seeds of the search: {', '.join(map(str, space.seeds))}",
    ]
    results = [r for trial in found.outcome.trials.values() for r in trial.results.values()] + [*found.results.values()]
    places = {(r.environment.device, r.environment.threads, r.environment.commit, r.environment.torch) for r in results}
    return made + [
        as_markdown(f"Made on {device}, {counted(n, 'thread')} a run, commit {commit or 'unknown'}, torch {torch}")
        for device, n, commit, torch in sorted(places)
    ]
