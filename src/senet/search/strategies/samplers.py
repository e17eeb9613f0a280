"""The samplers TPE and NSGA-II of Optuna as strategies, by ask and tell."""

import warnings
from typing import Any

from senet.errors import not_installed
from senet.search.space import Space
from senet.search.strategy import OBJECTIVES, Batch, Design, Score, Strategy

__all__ = ["nsga2", "tpe"]

MAX_REPEATS = 50  # successive known proposals after which the search ends


def tpe(space: Space, *, seed: int = 0) -> Strategy:
    """Propose one design after the other by tree-structured Parzen estimators over all objectives."""
    optuna = _optuna()
    with warnings.catch_warnings():  # `multivariate` is marked as experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    return (yield from _walk(space, sampler, size=1))


def nsga2(space: Space, *, seed: int = 0, population: int = 8) -> Strategy:
    """Propose a population after the other by NSGA-II over all objectives."""
    optuna = _optuna()
    return (
        yield from _walk(space, optuna.samplers.NSGAIISampler(seed=seed, population_size=population), size=population)
    )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise not_installed(
            "a search by tpe or nsga2", "optuna", extra="search", install="'optuna>=5,<6' sqlalchemy"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _walk(space: Space, sampler: Any, *, size: int) -> Strategy:
    optuna = _optuna()
    directions = ["maximize" if OBJECTIVES[name] > 0 else "minimize" for name in space.objectives]
    study = optuna.create_study(directions=directions, sampler=sampler)
    axes: dict[str, tuple[Any, ...]] = {str(place): place.ratios for place in space.choices.dimensions}
    axes |= {"variant": space.choices.variant, "slot": space.choices.slot}
    kinds = {name: optuna.distributions.CategoricalDistribution(values) for name, values in axes.items()}
    known: dict[Design, Score] = {}
    if space.plain:
        yield Batch(phase="plain", designs=((),))
    seen: set[Design] = set()  # some may have no score: the budget of parameters refuses them
    known_in_a_row, everything = 0, space.size
    while known_in_a_row < MAX_REPEATS and len(seen) < everything:
        asked = [study.ask(kinds) for _ in range(size)]
        designs = [_design(space, trial.params) for trial in asked]
        new = [design for design in dict.fromkeys(designs) if design not in seen]
        if new:
            seen.update(new)
            known |= yield Batch(phase="proposed", designs=tuple(new))
        known_in_a_row = 0 if new else known_in_a_row + size
        for trial, design in zip(asked, designs, strict=True):
            if design in known:
                study.tell(trial, [float(getattr(known[design], name)) for name in space.objectives])
            else:  # beyond the budget of parameters, or stopped early: not worth exploring further
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return None


def _design(space: Space, params: dict[str, Any]) -> Design:
    ratios = tuple(params[str(place)] for place in space.choices.dimensions)
    return space.design(ratios, variant=params["variant"], slot=params["slot"])
