"""The space of a search: what may vary, what is wanted, what it may cost. A TOML file. No torch here."""

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
    """Where a search ends; 0 is no limit.

    Attributes:
        trials: designs that are trained, the plain network included.
        minutes: of training, as the results record it: what an earlier start spent counts.
        params: largest number of parameters of a network that is tried.
    """

    trials: int = 0
    minutes: float = 0.0
    params: int = 0

    def __post_init__(self) -> None:
        check_fields(self, "budget")


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The strategy `shared`: one network with all ratios in it.

    Attributes:
        epochs: of its training; 0 takes those of the recipe.
        middle: random designs trained in each step beside the widest and the narrowest.
        calibration: training images by which norms are measured anew for each design.
        retrain: designs with the best shared scores that are trained alone.
        probes: further designs, evenly from best to worst, so that a rank correlation has a range to see.
        designs: most that are scored; of a larger space as many are drawn by chance, constant ratios always.
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
    """A search as a file describes it.

    Attributes:
        name: the stem of the file.
        title: what is looked for.
        base: what every candidate shares: network, data with held-out images, recipe, the fields of its design.
        choices: what varies.
        objectives: what is wanted, the decisive one first; names of `OBJECTIVES`.
        seeds: every candidate is trained once with each.
        budget: where to end.
        plain: train the plain network too.
        stop_early: stops trainings that fall behind others on the held-out images; off as it is made.
        shared: of the strategy `shared`.
        confirm_seeds: seeds with which the choice is trained anew on all training images and tested on the test set;
            none of `seeds`, and empty leaves that out.
        references: constant ratios that the choice is then compared with, beside the plain network.
    """

    name: str
    base: Run

    def __post_init__(self) -> None:
        for objective in self.objectives:
            if objective not in OBJECTIVES:
                raise unknown("objectives", objective, OBJECTIVES)
        if not self.objectives or len(set(self.objectives)) != len(self.objectives):
            raise SpecError(f"objectives = {self.objectives}: give at least one, each once.")
        for place in ("seeds", "confirm_seeds"):
            seeds = getattr(self, place)
            if len(set(seeds)) != len(seeds) or not all(seed in RANGES["seed"] for seed in seeds):
                raise SpecError(f"{place} = {shown(seeds)}; give whole numbers from 0, each once.")
        if not self.seeds:
            raise SpecError("seeds = () trains nothing; give at least one.")
        if both := set(self.seeds) & set(self.confirm_seeds):
            raise SpecError(
                f"confirm_seeds holds {min(both)}, by which the choice was made; a confirmation needs fresh seeds."
            )
        if not all(ratio in RANGES["reduction"] for ratio in self.references):
            raise SpecError(f"references = {shown(self.references)}; give ratios from 1, or none.")
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
        """The design whose fields all candidates share where nothing varies, at the first choices."""
        return self.constant(self.choices.constant[0])[0]

    @property
    def size(self) -> int:
        """Count the designs of the space."""
        return prod(map(len, self._axes()))

    def design(self, ratios: Sequence[int], *, variant: str = "", slot: str = "") -> Design:
        """Make a design of the space from the ratios of its places.

        Where all blocks of a stage have one ratio it is written as that of the stage: the run is then the one of a
        search by stages, and shares its result.
        """
        variant, slot = variant or self.choices.variant[0], slot or self.choices.slot[0]
        reduction: Ratios = tuple(ratios)
        if self.choices.per == "block":
            left = iter(ratios)
            stages = [tuple(islice(left, blocks)) for blocks in self.choices.blocks]
            reduction = tuple(stage[0] if len(set(stage)) == 1 else stage for stage in stages)
        return (self.base.se[0].but(reduction=reduction, variant=variant, slot=slot),)

    def constant(self, ratio: int) -> Design:
        """Make the design with one ratio everywhere."""
        return self.design((ratio,) * len(self.choices.dimensions))

    def ratios(self, design: Design) -> tuple[int, ...]:
        """Give the ratios of the places of a design: what `design` made it from."""
        return tuple(design[0].ratio(place.stage, max(1, place.block)) for place in self.choices.dimensions)

    def at(self, number: int) -> Design:
        """Give one of all designs, counted from 0; the ratio of the last place runs fastest."""
        picked: list[Any] = []
        for values in reversed(self._axes()):
            number, index = divmod(number, len(values))
            picked.append(values[index])
        variant, slot, *ratios = reversed(picked)
        return self.design(ratios, variant=variant, slot=slot)

    def designs(self) -> list[Design]:
        """Give all designs of the space in the order of `at`; there may be too many for that, see `size`."""
        return [self.at(number) for number in range(self.size)]

    def holds(self, design: Design) -> bool:
        """Return whether a design is one of the space."""
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
        """Give the training of a candidate, tested on held-out images."""
        return replace(self.base, se=design, seed=seed)

    def owns(self, run: Run) -> bool:
        """Return whether a run is of this search: a candidate, or one that confirms the choice."""
        epochs = self.base.recipe.epochs
        data = replace(run.data, val_size=self.base.data.val_size)
        return replace(run, se=self.base.se, seed=0, data=data, recipe=replace(run.recipe, epochs=epochs)) == self.base

    def final(self, design: Design, seed: int = 0) -> Run:
        """Give the training of a choice on all training images, tested on the test set."""
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
    if (rungs := values.pop("halving", 0)) != 0:  # 0 was its default
        raise SpecError(
            f"{path}: halving = {shown(rungs)} is of an earlier version; stop_early = 'median' ends trainings "
            "that fall behind."
        )
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
    """Write one list of ratios out for every stage."""
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
