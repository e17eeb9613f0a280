"""Blocks count from 1 in every stage, in the order of a forward pass: which of several ratios of a stage holds."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from torch import nn

from senet.dataflow.units import Unit
from senet.errors import SpecError
from senet.spec import SESpec
from senet.surgery.insertion.choose import Choice
from senet.surgery.insertion.places import Place, Placer

__all__ = ["Key", "check_blocks", "numbered"]

Key = tuple[str, str]
"""What tells places apart: the module that holds the block, and the side of it that is gated."""


def numbered(
    units: Sequence[Unit], wanted: Sequence[Choice], placer: Placer, slot: str, stage: Callable[[Place], int]
) -> dict[Key, tuple[int, int]]:
    """Give stage and number of every place that could hold a block, chosen or not: leaving one out moves no ratio.

    Args:
        units: of the network.
        wanted: what was chosen; where modules were named, they alone count.
        placer: finds the places of units.
        slot: in the unit.
        stage: of a place.
    """
    named = any(unit is None for _, unit, _ in wanted)
    found = [place for _, _, place in wanted] if named else [placer.place(unit, slot) for unit in units]
    places = {(place.host, place.side): place for place in found if isinstance(place, Place)}
    counts: Counter[int] = Counter()
    numbers: dict[Key, tuple[int, int]] = {}
    for key, place in sorted(places.items(), key=lambda pair: pair[1].value.index):
        counts[stage(place)] += 1
        numbers[key] = stage(place), counts[stage(place)]
    return numbers


def check_blocks(model: nn.Module, spec: SESpec, numbers: Mapping[Key, tuple[int, int]]) -> None:
    """Refuse ratios for blocks that a stage does not have.

    Raises:
        SpecError: if a stage has more or fewer places than its ratios.
    """
    if isinstance(spec.reduction, int):
        return
    counts = Counter(stage for stage, _ in numbers.values())
    for stage, ratios in enumerate(spec.reduction, 1):
        if isinstance(ratios, tuple) and len(ratios) != counts[stage]:
            raise SpecError(
                f"reduction[{stage - 1}] = {ratios} names {len(ratios)} blocks, stage {stage} of "
                f"{type(model).__name__} has {counts[stage]}; give one ratio, or {counts[stage]}."
            )
