"""The stages of a network: units in a row, of which the first may change the shape. Stages count from 1."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import nn

from senet.errors import SpecError
from senet.nn import Gates, Site, chain

__all__ = ["Unit", "stages", "standard_gate"]


@runtime_checkable
class Unit(Protocol):
    """What makes one unit: a module from `inputs` to `outputs` channels."""

    def __call__(self, inputs: int, outputs: int, *, stride: int, stage: int, unit: int) -> nn.Module:
        """Make the unit; stages and the units of each count from 1."""
        ...


def stages(
    unit: Unit,
    *,
    inputs: int,
    outputs: Sequence[int],
    depths: Sequence[int],
    first: Unit | None = None,
    first_stride: int = 1,
) -> dict[str, nn.Module]:
    """Make `stage1`, `stage2`, ..., each a chain of `unit1`, `unit2`, ...

    Args:
        unit: makes the units.
        inputs: channels of the map that enters stage 1.
        outputs: channels of every stage.
        depths: units of every stage.
        first: makes the first unit of every stage; None is `unit`.
        first_stride: stride of the first unit of stage 1; that of every later stage is 2.

    Raises:
        SpecError: if `outputs` and `depths` differ in length, or a stage has no unit.
    """
    if len(depths) != len(outputs):
        raise SpecError(
            f"depths = {tuple(depths)} names {len(depths)} stages, the widths name {len(outputs)}; give one of each."
        )
    if min(depths, default=0) < 1:
        raise SpecError(f"depths = {tuple(depths)} leaves a stage without units; give whole numbers from 1.")
    made: dict[str, nn.Module] = {}
    for stage, (depth, width) in enumerate(zip(depths, outputs, strict=True), 1):
        stride = first_stride if stage == 1 else 2
        units = {"unit1": (first or unit)(inputs, width, stride=stride, stage=stage, unit=1)}
        units |= {f"unit{n}": unit(width, width, stride=1, stage=stage, unit=n) for n in range(2, depth + 1)}
        made[f"stage{stage}"] = chain(**units)
        inputs = width
    return made


def standard_gate(gates: Gates, site: Site) -> nn.Module | None:
    """Ask for the block of a place that is not residual and has the slot `standard` only; None is no block.

    Raises:
        SpecError: if `gates` gives a block for another slot.
    """
    found = gates(site)
    if others := set(found) - {"standard"}:
        raise SpecError(f"gates = {sorted(others)} is no slot of {site.name}; choose one of: standard.")
    return found.get("standard")
