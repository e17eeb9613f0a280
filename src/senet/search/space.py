"""The space of a search, a TOML file: choices, objectives, budget. No torch here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

from senet import settings
from senet.bounds import RANGES, check_fields
from senet.errors import SpecError, shown, unknown
from senet.experiments import decoding
from senet.experiments.early_stopping import Rule
from senet.experiments.run import Run
from senet.search.choices import Choices
from senet.search.strategy import OBJECTIVES, Design
from senet.spec import Ratios, SESpec

__all__ = ["Budget", "Choices", "Shared", "Space", "read_space"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits of a search; 0 stands for unlimited.

    Attributes:
        trials: number of designs to train, including the plain network.
        minutes: time of training in all results [min], including those of earlier starts.
        params: maximum number of parameters of a network.
    """

    trials: int = 0
    minutes: float = 0.0
    params: int = 0

    def __post_init__(self) -> None:
        check_fields(self, "budget")


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Options of the strategy `shared`: one network that contains all ratios.

    Attributes:
        epochs: epochs of its training; 0 uses those of the recipe.
        middle: number of random designs trained in each step beside the widest and the narrowest.
        calibration: number of training images on which norms are recalibrated for each design.
        retrain: number of designs with the best shared scores to train alone.
        probes: number of further designs, evenly from best to worst, so that a rank correlation has a range.
        designs: maximum number of designs to score; a larger space is sampled, including all constant ratios.
    """

    epochs: int = 0
    middle: int = 2
    calibration: int = 512
    retrain: int = 3
    probes: int = 0
    designs: int = 2000

    def __post_init__(self) -> None:
        check_fields(self, "shared")


@dataclass(frozen=True, kw_only=True)
class _File:
    """A space as it is written, without its base."""

    choices: Choices
    title: str = ""
    objectives: tuple[str, ...] = ("accuracy", "params")
    seeds: tuple[int, ...] = (0,)
    budget: Budget = field(default_factory=Budget)
    plain: bool = True
    stop_early: Rule = field(default_factory=Rule)
    shared: Shared = field(default_factory=Shared)
    confirm_seeds: tuple[int, ...] = ()
    references: tuple[int, ...] = (16,)


@dataclass(frozen=True, kw_only=True)
class Space(_File):
    """The space of a search.

    Attributes:
        name: the stem of the file.
        title: title of the report.
        base: values that all candidates share: network, data with held-out images, recipe, fields of the design.
        choices: the values from which the search chooses.
        objectives: names of `OBJECTIVES`, the decisive one first.
        seeds: every candidate is trained once with each.
        budget: the limits of the search.
        plain: train the plain network too.
        stop_early: rule of early stopping on the held-out images; off by default.
        shared: options of the strategy `shared`.
        confirm_seeds: seeds with which the choice is trained again on all training images and tested on the test set;
            disjoint from `seeds`; empty omits the confirmation.
        references: constant ratios that the choice is then compared with, beside the plain network.
    """

    name: str
    base: Run

    def __post_init__(self) -> None:
        for objective in self.objectives:
            if objective not in OBJECTIVES:
                raise unknown("objectives", objective, OBJECTIVES)
        if not self.objectives or len(set(self.objectives)) != len(self.objectives):
            raise SpecError(f"objectives = {self.objectives} is not valid; list at least one, each once.")
        for place in ("seeds", "confirm_seeds"):
            seeds = getattr(self, place)
            if len(set(seeds)) != len(seeds) or not all(seed in RANGES["seed"] for seed in seeds):
                raise SpecError(f"{place} = {shown(seeds)} is not valid; list integers from 0, each once.")
        if not self.seeds:
            raise SpecError("seeds = () trains nothing; list at least one.")
        if both := set(self.seeds) & set(self.confirm_seeds):
            raise SpecError(
                f"confirm_seeds holds {min(both)}, which the search uses too; a confirmation needs fresh seeds."
            )
        if not all(ratio in RANGES["reduction"] for ratio in self.references):
            raise SpecError(f"references = {shown(self.references)} is not valid; list ratios from 1, or none.")
        if not self.base.data.val_size:
            raise SpecError(
                "base.data.val_size = 0 would choose by the test set; hold out training images, e.g. val_size = 5000."
            )
        if len(self.base.se) != 1:
            raise SpecError(f"base.se = {self.base.design} names {len(self.base.se)} designs; a search varies one.")
        if self.base.seed:
            raise SpecError(
                f"base.seed = {self.base.seed} would be lost; write seeds = [{self.base.seed}] above [base]."
            )
        given, usual = self.base.se[0], SESpec()
        for place, known in (("reduction", ()), ("variant", self.choices.variant), ("slot", self.choices.slot)):
            value = getattr(given, place)
            if value not in (getattr(usual, place), *known):
                raise SpecError(
                    f"base.se.{place} = {value!r} would be lost, since the search gives every candidate its own; "
                    f"write choices.{place} instead."
                )

    @property
    def template(self) -> SESpec:
        """A spec with the fields that all candidates share, at the first choices."""
        return self.constant(self.choices.constant[0])[0]

    @property
    def size(self) -> int:
        """Number of designs of the space."""
        return prod(map(len, self._axes()))

    def design(self, ratios: Sequence[int], *, variant: str = "", slot: str = "") -> Design:
        """Return the design of the space with given ratios of its dimensions.

        Equal ratios of all blocks of a stage are written as the ratio of the stage, so that the run is that of a
        search by stages and shares its result.
        """
        variant, slot = variant or self.choices.variant[0], slot or self.choices.slot[0]
        reduction: Ratios = tuple(ratios)
        if self.choices.per == "block":
            left = iter(ratios)
            stages = [tuple(islice(left, blocks)) for blocks in self.choices.blocks]
            reduction = tuple(stage[0] if len(set(stage)) == 1 else stage for stage in stages)
        return (self.base.se[0].but(reduction=reduction, variant=variant, slot=slot),)

    def constant(self, ratio: int) -> Design:
        """Return the design with one ratio in all stages."""
        return self.design((ratio,) * len(self.choices.dimensions))

    def ratios(self, design: Design) -> tuple[int, ...]:
        """Return the ratios of a design in the order of the dimensions; the inverse of `design`."""
        return tuple(design[0].ratio(place.stage, max(1, place.block)) for place in self.choices.dimensions)

    def at(self, number: int) -> Design:
        """Return a design by its number from 0; the ratio of the last dimension varies fastest."""
        picked: list[Any] = []
        for values in reversed(self._axes()):
            number, index = divmod(number, len(values))
            picked.append(values[index])
        variant, slot, *ratios = reversed(picked)
        return self.design(ratios, variant=variant, slot=slot)

    def designs(self) -> list[Design]:
        """Return all designs of the space in the order of `at`; check `size` first."""
        return [self.at(number) for number in range(self.size)]

    def holds(self, design: Design) -> bool:
        """Return whether a design belongs to the space."""
        choices = self.choices
        if len(design) != 1 or str(design[0].variant) not in choices.variant or design[0].slot not in choices.slot:
            return False
        try:
            ratios = self.ratios(design)
        except SpecError:  # of another number of stages
            return False
        fits = all(ratio in place.ratios for ratio, place in zip(ratios, choices.dimensions, strict=True))
        return fits and self.design(ratios, variant=str(design[0].variant), slot=design[0].slot) == design

    def _axes(self) -> list[tuple[Any, ...]]:
        return [self.choices.variant, self.choices.slot, *(place.ratios for place in self.choices.dimensions)]

    def run(self, design: Design, seed: int) -> Run:
        """Return the run of a candidate, tested on held-out images."""
        return replace(self.base, se=design, seed=seed)

    def owns(self, run: Run) -> bool:
        """Return whether a run belongs to this search: a candidate, or a run of the confirmation."""
        epochs = self.base.recipe.epochs
        data = replace(run.data, val_size=self.base.data.val_size)
        return replace(run, se=self.base.se, seed=0, data=data, recipe=replace(run.recipe, epochs=epochs)) == self.base

    def final(self, design: Design, seed: int = 0) -> Run:
        """Return the run of a choice on all training images, tested on the test set."""
        return replace(self.base, se=design, seed=seed, data=replace(self.base.data, val_size=0))


def read_space(path: Path, *, changes: Mapping[str, Any] | None = None) -> Space:
    """Read a space file.

    `[base]` holds a run as studies write it. `choices.reduction` may be one flat list with `stages = 3` beside it,
    `stop_early` the name of a rule.

    Args:
        path: a TOML file.
        changes: tables put over the fields of the file, e.g. from `budget.trials=20`, or over the run of `[base]`, e.g.
            from `recipe.epochs=2`.

    Raises:
        DataError: if the file does not exist.
        SpecError: with file and dotted place of what does not fit.
    """
    values = settings.toml_file(path)
    own = {name: value for name, value in (changes or {}).items() if name in _File.__dataclass_fields__}
    of_run = {name: value for name, value in (changes or {}).items() if name not in own}
    base = settings.merge(
        decoding.tables(values.pop("base", {}), place=f"{path}: base"), decoding.tables(of_run, place="")
    )
    base.setdefault("se", {})
    values = settings.merge(_with_rule(values), _with_rule(own))
    values["choices"] = _choices(values.get("choices", {}), str(path))
    run = decoding.run(base, place=f"{path}: base")
    file = settings.record(_File, values, place=str(path))
    fields = {name: getattr(file, name) for name in _File.__dataclass_fields__}
    try:
        return Space(name=path.stem, base=run, **fields)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def _choices(values: Any, place: str) -> Any:
    """Repeat one list of ratios for every stage."""
    if not isinstance(values, Mapping) or "stages" not in values:
        return values
    values = dict(values)
    stages, ratios = values.pop("stages"), values.get("reduction", [])
    flat = isinstance(ratios, list) and not any(isinstance(r, list) for r in ratios)
    if stages not in RANGES["choices.stages"] or not flat:
        raise SpecError(
            f"{place}: choices.stages = {shown(stages)} goes with one flat list of ratios and is "
            f"{RANGES['choices.stages']}."
        )
    return {**values, "reduction": [list(ratios)] * stages}


def _with_rule(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a file in which `stop_early` is a table."""
    rule = values.get("stop_early")
    return {**values, "stop_early": {"rule": rule}} if isinstance(rule, str) else dict(values)
