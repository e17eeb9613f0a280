"""Repeat a search from its files, without training, to write its report again with results that came later."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from senet.errors import CheckpointError, UsageError
from senet.execution.store import Store
from senet.experiments.early_stopping import Pruned, read_pruned, read_pruned_list
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.search.confirmation import confirmation
from senet.search.driver import search
from senet.search.findings import Findings
from senet.search.run_search import STRATEGIES, concluded, ready
from senet.search.saved_search import SavedDesign, SavedShared, read_saved_search
from senet.search.space import Space
from senet.search.strategies.shared import scored_designs, shared
from senet.search.strategy import Score, merit
from senet.search.supernet import SharedScores
from senet.spec import design_name

__all__ = ["lists_beside", "reread"]


def lists_beside(folder: Path) -> tuple[Path, ...]:
    """Return the lists of results of a report and of its siblings, or of all reports below a folder `reports`."""
    folder = folder.absolute()
    reports = next((place for place in folder.parents if place.name == "reports"), None)
    if reports is None:
        return tuple(sorted(folder.parent.glob("*/results.jsonl")))
    return tuple(sorted([*reports.glob("*/results.jsonl"), *reports.glob("*/*/results.jsonl")]))


def reread(space: Space, strategy: str, store: Store, folder: Path) -> Findings:
    """Repeat a search from its results, and read those of its confirmation.

    Shared scores, test accuracies and latencies, which only the search itself can measure, are those of `search.json`.

    Raises:
        CheckpointError: if `search.json` is damaged.
        UsageError: if there is none, it is of another search, or a training is missing.
    """
    space = ready(space, strategy)
    said = read_saved_search(folder)
    if (said.space, said.strategy) != (space.name, strategy):
        raise UsageError(f"{folder} holds the search {said.strategy} in {said.space}; name that one.")
    stopped = read_pruned_list(folder / "pruned.jsonl")
    scored = _scored(space, said.shared)
    if scored is None:
        walk = STRATEGIES[strategy](space)
    else:
        walk = shared(space, scored.scores, merit=merit(space.objectives))
    outcome = search(
        space,
        walk,
        lambda runs: _found(runs, store, stopped),
        name=strategy,
        count=lambda design: said.listed(design_name(design)).params,
        latency=lambda design: _measured(said.listed(design_name(design))),
    )
    listed = {one.design: one for one in said.trials}
    tests = {design: one.test for design in outcome.trials if (one := listed.get(design_name(design))) and one.test}
    study = confirmation(space, [outcome.chosen]) if space.confirm_seeds and outcome.chosen is not None else None
    results = {run: found for run in study.runs() if (found := store.get(run))} if study else {}
    return concluded(outcome, store, tests=tests, scored=scored, study=study, results=results)


def _found(runs: Sequence[Run], store: Store, stopped: Mapping[str, Pruned]) -> Iterator[Result | Pruned]:
    for run in runs:
        # a training that the search stopped stays so in its report, even if the run was finished later
        found = stopped.get(run.id) or store.get(run) or read_pruned(store.folder(run))
        if found is None:
            raise UsageError(
                f"--report-only: {run.model} {run.design} seed {run.seed} (run {run.id}) has no result; leave the "
                "option out to train it."
            )
        yield found


def _measured(one: SavedDesign) -> float:
    if one.latency_ms is None:
        raise CheckpointError(
            f"search.json has no latency_ms for {one.design}, which is an objective; leave --report-only out."
        )
    return one.latency_ms


def _scored(space: Space, said: SavedShared | None) -> SharedScores | None:
    """Read the scores of the shared network."""
    if said is None:
        return None
    designs = {design_name(design): design for design in scored_designs(space)}
    if foreign := [word for word in said.scores if word not in designs]:
        raise UsageError(f"search.json scores {foreign[0]}, which is not a design of {space.name}; name its own space.")
    return SharedScores(
        scores={
            designs[word]: Score(accuracy=one.accuracy, loss=one.loss, params=one.params)
            for word, one in said.scores.items()
        },
        train_seconds=said.train_seconds,
        score_seconds=said.score_seconds,
    )
