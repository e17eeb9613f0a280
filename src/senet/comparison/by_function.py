"""Compare designs with a user-supplied training function, seed by seed."""

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from senet.comparison.designs import Designs, named_designs, planned, study_of
from senet.comparison.found import Comparison
from senet.errors import CheckpointError, SpecError, shown
from senet.experiments.run import Run
from senet.experiments.seed_plan import SeedPlan
from senet.experiments.study import Row, Study
from senet.experiments.summary import Line, summarize_numbers
from senet.files.atomic import append_line, ensure_writable
from senet.spec import design_name

__all__ = ["Train", "by_function"]

Train = Callable[[Any, int], float]

Say = Callable[[str], None]


def by_function(
    train: Train,
    designs: Designs,
    *,
    model: Any = None,
    seeds: Any = 5,
    max_seeds: int = 20,
    margin: float = 0.5,
    baseline: str = "plain",
    values: str | Path | None = None,
    plan: SeedPlan | None = None,
    say: Say | None = None,
) -> Comparison:
    """Compare as `senet.compare(train, designs)` does.

    Args:
        train: the function.
        designs: what it is called with, or the designs of `model`.
        model: see `senet.compare`.
        seeds: see `senet.compare`.
        max_seeds: see `senet.compare`.
        margin: see `senet.compare`.
        baseline: see `senet.compare`.
        values: see `senet.compare`.
        plan: the rule for the number of seeds; None makes it of `seeds` and `max_seeds`.
        say: receives a line for each value and each look.
    """
    if isinstance(designs, Mapping):
        passed = _mapping(designs, model)
        rows = [Row(id=name, label=name, run=Run(model=name)) for name in passed]
    else:
        passed = named_designs(designs, baseline)
        rows = [Row(id=name, label=design_name(specs), run=Run(model="", se=specs)) for name, specs in passed.items()]
    plan = plan or planned(seeds, max_seeds)
    title = ", ".join(name for name in passed if name != baseline)
    study = plan.applied(study_of(rows, seeds, margin=margin, baseline=baseline, title=title))
    call = _with_network(train, model, passed) if model is not None else train
    known = _Values(None if values is None else Path(values), passed)

    def trained(study: Study) -> list[Line]:
        for at, seed in enumerate(study.seeds):
            for name, design in passed.items():
                if seed in known.of[name]:
                    continue
                try:
                    returned = call(design, seed)
                except Exception as error:
                    error.add_note(f"in train({name!r}, {seed})")
                    raise
                value = _accuracy(returned, f"train({name!r}, {seed})")
                known.add(name, seed, value)
                if say is not None:
                    say(f"{name} seed {seed}: {value:.2f} ({at + 1} of {len(study.seeds)} seeds)")
            _refuse_fractions([known.of[name][seed] for name in passed])
        accuracies = {name: {s: v for s, v in known.of[name].items() if s in study.seeds} for name in passed}
        return summarize_numbers(study, accuracies)

    study = plan.carry_out(study, trained, say=say)
    return Comparison(study=study, lines=tuple(trained(study)))


def _mapping(designs: Mapping[str, Any], model: Any) -> dict[str, Any]:
    if model is not None:
        raise SpecError("model = ... takes a list of designs, and a mapping names what train is called with itself.")
    if len(designs) < 2 or not all(isinstance(name, str) and name for name in designs):
        raise SpecError(
            f"designs = {shown(list(designs))} cannot be compared; pass at least two names, one the baseline."
        )
    return dict(designs)


def _with_network(train: Train, model: Any, designs: Mapping[str, Any]) -> Train:
    """Return a function of specs and seed that passes the network; every design is built once before the first call."""
    import torch

    from senet.networks.built_weights import comes_trained
    from senet.networks.repeatable import ensure_repeatable
    from senet.training.initial_network import started

    name = getattr(model, "__name__", str(model))
    ensure_repeatable(partial(started, model, (), seed=0), name)
    trained = comes_trained(model, name)
    for specs in designs.values():
        started(model, specs, seed=0, trained=trained)

    def call(specs: Any, seed: int) -> float:
        network = started(model, specs, seed=seed, trained=trained)
        torch.manual_seed(seed)  # equal for all designs, whatever numbers their weights took
        return train(network, seed)

    return call


class _Values:
    """The numbers that a training function has returned, in memory and in a file.

    Args:
        path: file with one JSON record a line; None keeps nothing.
        names: designs; records of others are left alone.
    """

    def __init__(self, path: Path | None, names: Mapping[str, Any]) -> None:
        self.path = path
        self.of: dict[str, dict[int, float]] = {name: {} for name in names}
        if path is None:
            return
        ensure_writable(path.parent)
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}.") from None
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                name, seed, value = record["design"], int(record["seed"]), float(record["value"])
            except (ValueError, KeyError, TypeError):
                raise CheckpointError(
                    f"{path}:{number} is not a value of a training function; remove the line: it is trained again."
                ) from None
            if name in self.of:
                self.of[name][seed] = _accuracy(value, f"{path}:{number}")

    def add(self, name: str, seed: int, value: float) -> None:
        self.of[name][seed] = value
        if self.path is not None:
            append_line(self.path, json.dumps({"design": name, "seed": seed, "value": value}))


def _refuse_fractions(values: list[float]) -> None:
    if all(value <= 1 for value in values) and any(values):
        raise SpecError("train returned no number above 1; return the accuracy in percent, not a fraction.")


def _accuracy(value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 100:
        raise SpecError(f"{place} = {shown(value)} is not a number from 0 to 100; return the accuracy in percent.")
    return number
