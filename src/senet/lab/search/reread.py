"""A search again from its files: the report of what was trained, written with what has come since. Trains nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from senet.errors import CheckpointError, UsageError
from senet.lab.early import Pruned, decode_pruned, read_pruned
from senet.lab.listing import count
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.search.blocks import place_by_place
from senet.lab.search.claims import claims
from senet.lab.search.command import STRATEGIES, pool, ready
from senet.lab.search.confirm import confirmation
from senet.lab.search.drive import search
from senet.lab.search.report import Findings
from senet.lab.search.shared import scored_designs, shared
from senet.lab.search.space import Space
from senet.lab.search.strategy import Design, Score, merit, name
from senet.lab.search.supernet import SharedScores
from senet.lab.store import Store

__all__ = ["lists_beside", "reread"]


def lists_beside(folder: Path) -> tuple[Path, ...]:
    """Give the lists of results of a report and of the others beside it, or of all below a folder `reports`.

    Args:
        folder: of the report.
    """
    folder = folder.absolute()
    reports = next((place for place in folder.parents if place.name == "reports"), None)
    if reports is None:
        return tuple(sorted(folder.parent.glob("*/results.jsonl")))
    return tuple(sorted([*reports.glob("*/results.jsonl"), *reports.glob("*/*/results.jsonl")]))


def reread(space: Space, strategy: str, store: Store, folder: Path) -> Findings:
    """Walk a search again by its results, and look for its confirmation by the ids of the runs.

    What only the search itself could measure (shared scores, test accuracies, latencies) is that of its `search.json`.

    Args:
        space: where, as in the search.
        strategy: likewise.
        store: the results: folders of runs, and lists that travel with reports.
        folder: of the report.

    Raises:
        CheckpointError: if `search.json` is damaged.
        UsageError: if there is none, it is of another search, or a training is missing.
    """
    space = ready(space, strategy)
    said = _read(folder / "search.json")
    if (said["space"], said["strategy"]) != (space.name, strategy):
        raise UsageError(f"{folder} holds the search {said['strategy']} in {said['space']}; give that one.")
    stopped = _stopped(folder / "pruned.jsonl")
    listed = {trial["design"]: trial for trial in (*said["trials"], *said.get("pruned", ()))}
    scored = _scored(space, said.get("shared"))
    if scored is None:
        walk = STRATEGIES[strategy](space)
    else:
        walk = shared(space, scored.scores, merit=merit(space.objectives))
    outcome = search(
        space,
        walk,
        lambda runs: _found(runs, store, stopped),
        name=strategy,
        count=lambda design: int(listed[name(design)]["params"]),
        latency=(lambda design: float(listed[name(design)]["latency_ms"]))
        if "latency_ms" in space.objectives
        else None,
    )
    tests = {
        design: {int(seed): float(value) for seed, value in listed[name(design)]["test"].items()}
        for design in outcome.trials
        if listed.get(name(design), {}).get("test")
    }
    study = confirmation(space, [outcome.chosen]) if space.confirm_seeds and outcome.chosen is not None else None
    return Findings(
        outcome=outcome,
        tests=tests,
        claims=claims(outcome, tests),
        shared=scored,
        pool=pool(outcome, store) if scored else {},
        study=study,
        results={run: found for run in study.runs() if (found := store.get(run))} if study else {},
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{path} does not exist: there is no report to write again; leave --report-only out."
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}.") from None
    return values


def _stopped(path: Path) -> dict[str, Pruned]:
    """Read what a report lists as pruned; older reports and those without any have no such file."""
    if not path.exists():
        return {}
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    found = [decode_pruned(line, place=f"{path}:{number}") for number, line in lines]
    return {pruned.run.id: pruned for pruned in found}


def _found(runs: Sequence[Run], store: Store, stopped: Mapping[str, Pruned]) -> Iterator[Result | Pruned]:
    for run in runs:
        # what the search stopped stays stopped in its report, though the run may have been trained to its end since
        found = stopped.get(run.id) or store.get(run) or read_pruned(store.folder(run))
        if found is None:
            raise UsageError(
                f"--report-only: {run.model} {run.design} seed {run.seed} (run {run.id}) is not there; leave it out, "
                "and what is missing is trained."
            )
        yield found


def _scored(space: Space, values: Mapping[str, Any] | None) -> SharedScores | None:
    """Read the scores of the shared network."""
    if values is None:
        return None
    designs = {name(design): design for design in scored_designs(space)}
    if strange := [word for word in values["scores"] if word not in designs]:
        raise UsageError(f"search.json scores {strange[0]}, which is no design of {space.name}; give its own space.")

    def params(design: Design) -> int:
        return count(space.base.model, design).params

    counted = place_by_place(space, params)
    return SharedScores(
        scores={
            # files of before have no count; that of the network's own size puts equal scores in the same order
            design: Score(accuracy=score["accuracy"], loss=score["loss"], params=score.get("params") or counted(design))
            for word, score in values["scores"].items()
            for design in [designs[word]]
        },
        train_seconds=values["train_seconds"],
        score_seconds=values["score_seconds"],
    )
