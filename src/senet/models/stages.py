"""Stages of a network: consecutive units at one resolution, of which the first may change the shape."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from senet.errors import SpecError
from senet.nn import Gates, Site, chain

__all__ = ["MakeUnit", "Unit", "stages", "standard_gate"]


@dataclass(frozen=True)
class Unit:
    """The place of a unit in its network.

    Attributes:
        inputs: channels of the input.
        outputs: channels of the output.
        stride: 2 in the first unit of most stages, else 1.
        stage: from 1.
        number: unit within the stage, from 1.
    """

    inputs: int
    outputs: int
    stride: int
    stage: int
    number: int

    @property
    def changes(self) -> bool:
        """Whether it changes the shape of the map."""
        return self.stride != 1 or self.inputs != self.outputs

    def site(self, inner: int) -> Site:
        """Return its site; `inner` are the channels of its spatial convolution."""
        return Site(
            stage=self.stage, unit=self.number, channels=self.outputs, in_channels=self.inputs, inner_channels=inner
        )


MakeUnit = Callable[[Unit], nn.Module]


def stages(
    make: MakeUnit,
    *,
    inputs: int,
    outputs: Sequence[int],
    depths: Sequence[int],
    first: MakeUnit | None = None,
    first_stride: int = 1,
) -> dict[str, nn.Module]:
    """Build `stage1`, `stage2`, ..., each a chain of `unit1`, `unit2`, ...

    Args:
        make: builds a unit.
        inputs: input channels of stage 1.
        outputs: output channels of every stage.
        depths: units of every stage.
        first: builds the first unit of every stage; None is `make`.
        first_stride: stride of the first unit of stage 1; later stages have 2.

    Raises:
        SpecError: if `outputs` and `depths` differ in length, or a stage has no unit.
    """
    if len(depths) != len(outputs):
        raise SpecError(
            f"depths = {tuple(depths)} has {len(depths)} stages, the widths have {len(outputs)}; use as many of each."
        )
    if min(depths, default=0) < 1:
        raise SpecError(f"depths = {tuple(depths)} leaves a stage without units; use positive whole numbers.")
    made: dict[str, nn.Module] = {}
    for stage, (depth, width) in enumerate(zip(depths, outputs, strict=True), 1):
        stride = first_stride if stage == 1 else 2
        units = {"unit1": (first or make)(Unit(inputs, width, stride, stage, 1))}
        units |= {f"unit{n}": make(Unit(width, width, 1, stage, n)) for n in range(2, depth + 1)}
        made[f"stage{stage}"] = chain(**units)
        inputs = width
    return made


def standard_gate(gates: Gates, site: Site) -> nn.Module | None:
    """Return the block of a site that only has the slot `standard`; None without a block.

    Raises:
        SpecError: if `gates` returns a block for another slot.
    """
    found = gates(site)
    if others := set(found) - {"standard"}:
        raise SpecError(f"gates = {sorted(others)} is not a slot of {site.name}; choose one of: standard.")
    return found.get("standard")
