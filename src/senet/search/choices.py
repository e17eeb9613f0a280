"""The choices of a search space: ratios by stage or by block, variants, slots. No torch here."""

from dataclasses import dataclass
from typing import Literal, get_args

from senet.bounds import RANGES
from senet.errors import SpecError, shown, unknown
from senet.spec import SLOTS, VARIANTS, WITHOUT_RATIO

__all__ = ["PER", "Choices", "Dimension"]

Per = Literal["stage", "block"]
PER: tuple[str, ...] = get_args(Per)


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A stage or a block with its own ratio.

    Attributes:
        stage: number of the stage, from 1.
        block: number of the block in the stage, from 1; 0 stands for all of them.
        ratios: its candidates.
    """

    stage: int
    block: int
    ratios: tuple[int, ...]

    def __str__(self) -> str:
        """Return its name: `stage 2`, `stage 2 block 1`."""
        return f"stage {self.stage} block {self.block}" if self.block else f"stage {self.stage}"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The values from which a search chooses.

    Attributes:
        reduction: candidate ratios of every stage, `[[8, 4, 2], [2, 4, 8], [32, 16]]`.
        per: `stage` uses one ratio for all blocks of a stage, `block` chooses one for each of them.
        blocks: number of blocks of every stage, with `per = "block"`; if empty, `senet search` counts them.
        constant: ratios that are tried on all stages at once, where the greedy search starts.
        variant: names of variants with a ratio. Kinds with one are searched by `base.se`: `cbam`, `gc`, `fca`.
        slot: names of slots.
    """

    reduction: tuple[tuple[int, ...], ...]
    per: Per = "stage"
    blocks: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()
    variant: tuple[str, ...] = ("standard",)
    slot: tuple[str, ...] = ("standard",)

    def __post_init__(self) -> None:
        for place in ("reduction", "variant", "slot"):
            if not getattr(self, place) or not all(getattr(self, place)):
                raise SpecError(f"choices.{place} = {getattr(self, place)} is empty; list at least one.")
        for stage, ratios in enumerate(self.reduction):
            _check_ratios(f"choices.reduction[{stage}]", ratios)
        _check_ratios("choices.constant", self.constant)
        for place, names in (("variant", VARIANTS), ("slot", SLOTS)):
            for name in getattr(self, place):
                if name not in names:
                    raise unknown(f"choices.{place}", name, names)
                if name in WITHOUT_RATIO:
                    raise SpecError(
                        f"choices.{place} = {name!r} has no ratio to search; compare it with what the search finds: "
                        "senet compare --se DESIGN."
                    )
        if self.per not in PER:
            raise unknown("choices.per", self.per, PER)
        if self.blocks and (
            self.per != "block"
            or len(self.blocks) != len(self.reduction)
            or not 1 <= min(self.blocks) <= max(self.blocks) <= 10_000
        ):
            raise SpecError(
                f"choices.blocks = {shown(self.blocks)} goes with per = 'block' and counts those of each of the "
                f"{len(self.reduction)} stages; leave it out to count them in the network."
            )
        if not self.constant:
            common = [r for r in self.reduction[0] if all(r in ratios for ratios in self.reduction)]
            object.__setattr__(self, "constant", tuple(common or self.reduction[0][:1]))

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The stages or blocks with their own ratios, in the order of the network.

        Raises:
            SpecError: if `per` is `block` and `blocks` is empty.
        """
        if self.per == "stage":
            return tuple(
                Dimension(stage=stage, block=0, ratios=ratios) for stage, ratios in enumerate(self.reduction, 1)
            )
        if not self.blocks:
            raise SpecError(
                "choices.per = 'block' needs the number of blocks of every stage; set e.g. choices.blocks = [3, 3, 3]."
            )
        counted = enumerate(zip(self.reduction, self.blocks, strict=True), 1)
        return tuple(
            Dimension(stage=stage, block=block, ratios=ratios)
            for stage, (ratios, blocks) in counted
            for block in range(1, blocks + 1)
        )


def _check_ratios(place: str, ratios: tuple[int, ...]) -> None:
    """Raise an error for values that are not valid ratios."""
    if len(set(ratios)) != len(ratios) or not all(ratio in RANGES["reduction"] for ratio in ratios):
        raise SpecError(f"{place} = {shown(ratios)} is not valid; list ratios from 1, each once.")
