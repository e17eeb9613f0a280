"""Number the blocks of each stage from 1 in the order of a forward pass, to choose among the ratios of a stage."""

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
"""The identity of a place: the module that holds the block, and the side of it that is gated."""


def numbered(
    units: Sequence[Unit], wanted: Sequence[Choice], placer: Placer, slot: str, stage: Callable[[Place], int]
) -> dict[Key, tuple[int, int]]:
    """Return the stage and number of every place that can hold a block.

    Places that were not chosen are counted too, so that leaving one out does not shift the ratios of the others.

    Args:
        units: units of the network.
        wanted: the choice; if it names modules, only these are counted.
        placer: finds the places of units.
        slot: slot in the unit.
        stage: function that returns the stage of a place, from 1.
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
    """Check that each stage has as many blocks as ratios.

    Raises:
        SpecError: if a stage has more or fewer places than ratios.
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
