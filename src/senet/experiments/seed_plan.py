"""The rule for the number of seeds of a study: fixed, planned from its first results, or extended until decided."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from senet.experiments.looks import planned_looks
from senet.experiments.run import Run
from senet.experiments.study import Study
from senet.experiments.summary import Line
from senet.experiments.verdict import images_needed, seeds_needed
from senet.text import counted

__all__ = ["SeedPlan"]


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

    def applied(self, study: Study) -> Study:
        """Return a study with margin, first seeds and looks."""
        if self.margin is not None:
            study = replace(study, margin=self.margin)
        if self.auto:
            looks = planned_looks(self.most)
            return replace(study.repeated(looks[0]), looks=looks)
        if self.detect is not None:
            study = replace(study, pilot=self.seeds or len(study.seeds))
        return study if self.seeds is None else study.repeated(self.seeds)

    @property
    def open(self) -> bool:
        """Whether the number of seeds depends on results."""
        return self.auto or self.detect is not None

    @property
    def changes(self) -> bool:
        """Whether a study gets seeds other than its own."""
        return self.open or self.seeds is not None

    def belongs(self, study: Study) -> Callable[[Run], bool]:
        """Return a function that tells whether a run may be part of the study."""
        most = max(self.most, len(study.seeds)) if self.open else len(study.seeds)
        return frozenset(study.repeated(most).runs()).__contains__

    def carry_out(
        self, study: Study, train: Callable[[Study], Sequence[Line] | None], *, say: Callable[[str], None] | None = None
    ) -> Study:
        """Train a study with the number of seeds that the rule asks for.

        Args:
            study: as `applied` returns it.
            train: function that trains the missing runs of a study and returns its lines, or None if some are missing.
            say: receives a sentence about each look.
        """
        lines = train(study)
        while self.open and lines is not None:
            seeds, why = self._next(study, lines)
            if why and say is not None:
                say(why)
            if seeds <= len(study.seeds):
                break
            study = study.repeated(seeds)
            lines = train(study)
        return study

    def _next(self, study: Study, lines: Sequence[Line]) -> tuple[int, str]:
        """Return the next number of seeds, or the present one to end, and a sentence that explains it."""
        now = len(study.seeds)
        if study.looks:
            return _next_look(study, lines)
        if self.detect is None or now != self.seeds:
            return now, ""
        found = [line.difference for line in lines if line.difference is not None and line.difference.n > 1]
        needs = [seeds_needed(each, self.detect) for each in found]
        if not needs:
            return now, ""
        asked = f"to show a difference of {self.detect:g} points in 4 of 5 cases takes"
        if images := [need for each in found if (need := images_needed(each, self.detect)) is not None]:
            return now, f"{asked} about {max(images):,} test images, whatever the number of seeds"
        need = max(self.most + 1 if each is None else each for each in needs)
        if need > self.most:
            return self.most, f"{asked} more than {self.most} seeds; stopping at --max-seeds {self.most}"
        return need, f"{asked} about {counted(need, 'seed')}, judging by the spread of the first {now}"


def _next_look(study: Study, lines: Sequence[Line]) -> tuple[int, str]:
    now, judged = len(study.seeds), [line for line in lines if line.verdict is not None]
    undecided = [line for line in judged if line.verdict is not None and not line.verdict.decided]
    look = f"look {study.looks.index(now) + 1} of {len(study.looks)}, {now} seeds: "
    if not undecided:
        return now, f"{look}every design is decided"
    names = ", ".join(line.row.label for line in undecided)
    if now == study.looks[-1]:
        return now, f"{look}undecided: {names}; stopping at --max-seeds {now}"
    if now > study.looks[0] and not any(_may_end(line) for line in undecided):
        return now, f"{look}undecided: {names}; more seeds would not decide them"
    following = next(number for number in study.looks if number > now)
    return following, f"{look}undecided: {names}; continuing with {following} seeds"


def _may_end(line: Line) -> bool:
    """Return whether more seeds can decide a row: none can where the test images are too few."""
    found, said = line.difference, line.verdict
    no_spread = found is not None and found.n > 1 and math.isnan(found.half)  # by chance, of values without images
    return no_spread or (said is not None and said.more_seeds is not None)
